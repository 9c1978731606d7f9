"""NCC as a measure: what the whole image and the windows count for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.similarity.ncc import GlobalNcc, LocalNcc, MultiscaleNcc
from wsreg.similarity.window_ncc import (
    WindowConfig,
    linearize_window_loss,
    prepare_windows,
    window_loss,
    window_similarity,
)

MASK = torch.ones(20, 22, dtype=torch.bool)


@pytest.fixture(name="images", scope="module")
def _images() -> tuple[Tensor, Tensor, Tensor]:
    """(fixed [H,W], moving [2,H,W], jacobian [2,H,W,6]), float64."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 20, 22, generator=generator, dtype=torch.float64)
    jacobian = torch.rand(2, 20, 22, 6, generator=generator, dtype=torch.float64) - 0.5
    return images[0], images[1:] + images[0], jacobian


def test_multiscale_is_the_weighted_mean_of_its_parts(
    images: tuple[Tensor, Tensor, Tensor],
) -> None:
    fixed, moving, jacobian = images
    config = WindowConfig(robust_scale=0.2)
    prepared = MultiscaleNcc(windows_px=(6, 9), windows=config, global_weight=0.4).prepare(
        fixed, MASK
    )
    assert sum(weight for weight, _ in prepared.terms) == pytest.approx(1.0)
    model = prepared.linearize(moving, jacobian)
    parts = [
        (weight, prepare_windows(fixed, MASK, size, config, stride))
        for weight, size, stride in ((0.4, None, 1), (0.3, 6, 2), (0.3, 9, 3))
    ]
    loss = sum(weight * window_loss(windows, moving) for weight, windows in parts)
    alike = sum(weight * window_similarity(windows, moving) for weight, windows in parts)
    torch.testing.assert_close(prepared.loss(moving), loss)
    torch.testing.assert_close(prepared.similarity(moving), alike)
    torch.testing.assert_close(model.value, loss)
    each = [(weight, linearize_window_loss(w, moving, jacobian)) for weight, w in parts]
    for name in ("gradient", "normal_matrix"):
        expected = sum(weight * getattr(one, name) for weight, one in each)
        torch.testing.assert_close(getattr(model, name), expected)


def test_the_ends_of_the_weight_are_global_and_local(images: tuple[Tensor, Tensor, Tensor]) -> None:
    fixed, moving, _ = images
    whole, local = GlobalNcc().prepare(fixed, MASK), LocalNcc(windows_px=(5,)).prepare(fixed, MASK)
    for weight, alone in ((1.0, whole), (0.0, local)):
        mixed = MultiscaleNcc(windows_px=(5,), global_weight=weight).prepare(fixed, MASK)
        torch.testing.assert_close(mixed.loss(moving), alone.loss(moving))
    # By default a third is global.
    mixed = MultiscaleNcc(windows_px=(5,)).prepare(fixed, MASK)
    third = whole.loss(moving) / 3 + 2 * local.loss(moving) / 3
    torch.testing.assert_close(mixed.loss(moving), third)


def test_windows_of_several_sizes_count_the_same(images: tuple[Tensor, Tensor, Tensor]) -> None:
    fixed, moving, _ = images
    small, large, both = (
        LocalNcc(windows_px=sizes).prepare(fixed, MASK).loss(moving)
        for sizes in ((2,), (9,), (2, 9))
    )
    torch.testing.assert_close(both, 0.5 * (small + large))


def test_windows_overlap_by_two_thirds() -> None:
    terms = LocalNcc(windows_px=(2, 5, 9)).prepare(torch.rand(20, 22), MASK).terms
    assert [(windows.size, windows.stride) for _, windows in terms] == [
        ((2, 2), 1), ((5, 5), 1), ((9, 9), 3),
    ]  # fmt: skip


def test_bad_settings_are_named() -> None:
    for windows_px, text in (
        ((), r"windows_px must be a tuple of at least one size, got \(\)"),
        (9, "windows_px must be a tuple of at least one size, got 9"),
        ((7, 1), r"windows_px must be whole numbers of at least 2 pixels, got \(7, 1\)"),
        ((5.5,), "windows_px must be whole numbers of at least 2 pixels"),
    ):
        for measure in (LocalNcc, MultiscaleNcc):
            with pytest.raises(InputError, match=text):
                measure(windows_px=windows_px)  # type: ignore[arg-type]
    for settings in ({"floor": -1.0}, {"robust_scale": float("nan")}):
        with pytest.raises(InputError, match="must be at least 0 and finite"):
            WindowConfig(**settings)
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="global_weight must be from 0 to 1, got"):
            MultiscaleNcc(global_weight=weight)
    with pytest.raises(InputError, match=r"from 2 to 20 pixels.*got 21"):
        MultiscaleNcc(windows_px=(21,)).prepare(torch.rand(20, 22), MASK)
