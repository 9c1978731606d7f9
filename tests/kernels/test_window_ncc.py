"""The kernel of window NCC against the slow version in double precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.similarity.window_ncc import (
    WindowConfig,
    Windows,
    linearize_window_loss,
    linearize_window_loss_reference,
    prepare_windows,
    window_loss,
    window_similarity,
)

WINDOWS = [(None, 1), (3, 1), (5, 1), (5, 2), (8, 3), (20, 6)]
SHAPES = [(24, 37), (41, 22)]


def smooth(generator: torch.Generator, count: int, height: int, width: int) -> Tensor:
    """Noise [count,H,W] averaged over 5 x 5 pixels, float64."""
    noise = torch.randn(count, 1, height + 4, width + 4, generator=generator, dtype=torch.float64)
    return torch.nn.functional.avg_pool2d(noise, 5, 1)[:, 0]


def example(
    shape: tuple[int, int], parameters: int, masked: bool = True
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(fixed [H,W], moving [4,H,W], jacobian [4,H,W,P], mask [H,W]), the last one no match at all.

    Values are those of line integrals, with an offset that single precision must bear.
    """
    generator = torch.Generator().manual_seed(parameters)
    fixed, *others = smooth(generator, 5, *shape)
    like = torch.tensor([0.0, 0.1, 0.7, 3.0], dtype=torch.float64)[:, None, None]
    moving = 1.3 * fixed + like * torch.stack(others) + 3.0
    slopes = smooth(generator, 4 * parameters, *shape).reshape(4, parameters, *shape)
    mask = torch.ones(shape, dtype=torch.bool)
    if masked:
        mask[:9, :7] = False
        mask[15:17, 10:] = False
    return fixed + 3.0, moving, slopes.movedim(1, -1), mask


def both_prepared(
    fixed: Tensor, mask: Tensor, size: int | None, stride: int, config: WindowConfig
) -> tuple[Windows, Windows]:
    return tuple(prepare_windows(f, mask, size, config, stride) for f in (fixed.float(), fixed))  # type: ignore[return-value]


def assert_alike(fast: QuadraticModel, slow: QuadraticModel) -> None:
    torch.testing.assert_close(fast.value, slow.value, rtol=2e-4, atol=2e-6)
    scale = slow.normal_matrix.diagonal(dim1=-2, dim2=-1).sqrt()
    unit = scale[..., :, None] * scale[..., None, :]
    apart = (fast.normal_matrix - slow.normal_matrix) / unit
    assert float(apart.abs().max()) < 2e-4
    # Cauchy and Schwarz: a slope is at most the square root of curvature times 2 loss or so.
    assert float(((fast.gradient - slow.gradient) / scale).abs().max()) < 1e-4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("size", "stride"), WINDOWS)
@pytest.mark.parametrize("parameters", [6, 12, 24])
def test_the_model_is_the_references(
    parameters: int, size: int | None, stride: int, shape: tuple[int, int]
) -> None:
    fixed, moving, jacobian, mask = example(shape, parameters)
    single, double = both_prepared(fixed, mask, size, stride, WindowConfig())
    fast = linearize_window_loss(single, moving.float(), jacobian.float())
    slow = linearize_window_loss_reference(double, moving, jacobian)
    assert_alike(fast, slow)
    assert fast.gradient.shape == (4, parameters)
    assert fast.normal_matrix.dtype == torch.float64
    assert float(torch.linalg.eigvalsh(fast.normal_matrix).min()) >= -1e-12


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "config",
    [
        WindowConfig(robust_scale=0.0),
        WindowConfig(floor=0.0, weight_floor=0.0),
        WindowConfig(floor=0.1, weight_floor=0.1, robust_scale=0.05),
    ],
)
def test_other_settings_are_the_references_too(config: WindowConfig, masked: bool) -> None:
    fixed, moving, jacobian, mask = example(SHAPES[0], 6, masked)
    single, double = both_prepared(fixed, mask, 7, 2, config)
    fast = linearize_window_loss(single, moving.float(), jacobian.float())
    assert_alike(fast, linearize_window_loss_reference(double, moving, jacobian))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("size", "stride"), WINDOWS)
def test_values_without_parameters_are_the_references(
    size: int | None, stride: int, shape: tuple[int, int]
) -> None:
    fixed, moving, jacobian, mask = example(shape, 1)
    single, double = both_prepared(fixed, mask, size, stride, WindowConfig())
    loss, alike = window_loss(double, moving), window_similarity(double, moving)
    near: dict[str, Any] = {"rtol": 2e-4, "atol": 2e-6}
    torch.testing.assert_close(window_loss(single, moving.float()).double(), loss, **near)
    torch.testing.assert_close(window_similarity(single, moving.float()).double(), alike, **near)
    nothing = linearize_window_loss(single, moving.float(), jacobian[..., :0].float())
    torch.testing.assert_close(nothing.value, loss, **near)
    assert nothing.gradient.shape == (4, 0)
    assert nothing.normal_matrix.shape == (4, 0, 0)


def test_the_bits_do_not_depend_on_threads_or_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, moving, jacobian, mask = (part.float() for part in example(SHAPES[0], 6))
    windows = prepare_windows(fixed, mask.bool(), 5, WindowConfig(), 1)
    models = []
    for threads in ("1", "3"):
        monkeypatch.setenv("WSREG_THREADS", threads)
        models.append(linearize_window_loss(windows, moving, jacobian))
    alone = [
        linearize_window_loss(windows, moving[n : n + 1], jacobian[n : n + 1]) for n in range(4)
    ]
    for name in ("value", "gradient", "normal_matrix"):
        first, second = (getattr(model, name) for model in models)
        assert torch.equal(first, second), name
        assert torch.equal(first, torch.cat([getattr(model, name) for model in alone])), name


def test_images_need_not_lie_in_one_piece() -> None:
    fixed, moving, jacobian, mask = (part.float() for part in example(SHAPES[0], 6))
    windows = prepare_windows(fixed, mask.bool(), 5, WindowConfig(), 1)
    whole = linearize_window_loss(windows, moving, jacobian)
    padded = torch.nn.functional.pad(moving, (0, 3))[..., :-3]
    moved = jacobian.movedim(-1, 1).contiguous().movedim(1, -1)
    pieces = linearize_window_loss(windows, padded, moved)
    assert not padded.is_contiguous()
    assert not moved.is_contiguous()
    assert torch.equal(whole.value, pieces.value)
    assert torch.equal(whole.normal_matrix, pieces.normal_matrix)
    assert torch.equal(window_loss(windows, padded), window_loss(windows, moving))


def test_a_flat_moving_image_is_unlike_and_finite_in_value() -> None:
    fixed, moving, _, mask = (part.float() for part in example(SHAPES[0], 6))
    windows = prepare_windows(fixed, mask.bool(), 5, WindowConfig(), 1)
    flat = torch.full_like(moving[:1], 2.0)
    losses = window_loss(windows, torch.cat((flat, moving[:1])))
    assert float(losses[0]) == pytest.approx(1 / (1 + 1 / windows.config.robust_scale), rel=1e-3)
    assert float(losses[1]) == pytest.approx(0.0, abs=1e-5)
