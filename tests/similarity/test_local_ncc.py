"""NCC in windows: known values, the mask, the linearisation against autograd and brute force."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.similarity.local_ncc import (
    FLOOR,
    linearize_ncc,
    ncc_loss,
    prepare_windows,
    window_similarities,
)

SIZE = 24
WINDOWS = [(None, 1), (5, 1), (9, 3), (8, 2)]


@pytest.fixture(name="images")
def _images() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(fixed, moving, jacobian [H,W,6], mask), float64."""
    generator = torch.Generator().manual_seed(0)

    def smooth() -> Tensor:
        noise = torch.randn(1, 1, SIZE + 4, SIZE + 4, generator=generator, dtype=torch.float64)
        return torch.nn.functional.avg_pool2d(noise, 5, 1)[0, 0]

    fixed = smooth()
    mask = torch.ones(SIZE, SIZE, dtype=torch.bool)
    mask[:9, :7] = False
    jacobian = torch.stack([smooth() for _ in range(6)], dim=-1)
    return fixed, fixed + 0.5 * smooth(), jacobian, mask


@pytest.mark.parametrize(("size", "stride"), WINDOWS)
def test_brightness_and_contrast_do_not_matter(
    images: tuple[Tensor, ...], size: int | None, stride: int
) -> None:
    fixed, _, _, mask = images
    windows = prepare_windows(fixed, mask, size, stride)
    same = window_similarities(windows, 3.0 * fixed + 20.0)
    negative = window_similarities(windows, -fixed)
    # The floor takes its share from windows with little texture.
    assert bool((same <= 1.0 + 1e-9).all())
    assert float(same.mean()) > 0.85
    torch.testing.assert_close(negative, -same)


def test_global_ncc_of_equal_images_is_one(images: tuple[Tensor, ...]) -> None:
    fixed, _, _, mask = images
    windows = prepare_windows(fixed, mask, None)
    assert float(ncc_loss(windows, 2.0 * fixed - 5.0)) == pytest.approx(0.0, abs=1e-12)
    assert float(ncc_loss(windows, -fixed)) == pytest.approx(2.0)


def test_global_ncc_is_the_correlation_coefficient(images: tuple[Tensor, ...]) -> None:
    fixed, moving, _, mask = images
    expected = torch.corrcoef(torch.stack((fixed[mask], moving[mask])))[0, 1]
    windows = prepare_windows(fixed, mask, None)
    assert float(1 - ncc_loss(windows, moving)) == pytest.approx(float(expected), abs=1e-12)


def test_what_is_masked_has_no_influence(images: tuple[Tensor, ...]) -> None:
    fixed, moving, jacobian, mask = images
    spoilt = torch.where(mask, fixed, 1e6)
    spoilt_moving = torch.where(mask, moving, -1e6)
    for size, stride in WINDOWS:
        clean = prepare_windows(fixed, mask, size, stride)
        dirty = prepare_windows(spoilt, mask, size, stride)
        a = linearize_ncc(clean, moving, jacobian)
        b = linearize_ncc(dirty, spoilt_moving, torch.where(mask[..., None], jacobian, 1e6))
        torch.testing.assert_close(a.value, b.value)
        torch.testing.assert_close(a.gradient, b.gradient)
        torch.testing.assert_close(a.normal_matrix, b.normal_matrix)


def test_windows_without_texture_do_not_compare_noise() -> None:
    generator = torch.Generator().manual_seed(1)
    fixed = torch.zeros(30, 30, dtype=torch.float64)
    fixed[:, 15:] = torch.randn(30, 15, generator=generator, dtype=torch.float64)
    noise = 1e-3 * torch.randn(30, 30, generator=generator, dtype=torch.float64)
    mask = torch.ones(30, 30, dtype=torch.bool)
    flat = window_similarities(prepare_windows(fixed, mask, 5), fixed + noise).reshape(26, 26)
    assert float(flat[:, :10].abs().max()) < 1e-3
    assert float(flat[:, 15:].min()) > 0.9


def brute_force(images: tuple[Tensor, ...], size: int | None, stride: int) -> tuple[float, Tensor]:
    """Mean loss, and mean over windows of J'J of the normalised moving window."""
    fixed, moving, jacobian, mask = images
    shape = size or SIZE
    variance = {
        name: image[mask].var(unbiased=False)
        for name, image in (("fixed", fixed), ("moving", moving))
    }
    floor = FLOOR if size else 0.0
    losses, normal = [], torch.zeros(6, 6, dtype=torch.float64)
    for row in range(0, SIZE - shape + 1, stride):
        for column in range(0, SIZE - shape + 1, stride):
            at = (slice(row, row + shape), slice(column, column + shape))
            valid = mask[at]
            count = int(valid.sum())
            if size and count < 0.5 * shape * shape:
                continue

            def unit(values: Tensor, floor_: Tensor) -> Tensor:
                centred = values - values.mean()
                return centred / (centred.square().sum() + floor_).sqrt()

            a = unit(fixed[at][valid], floor * variance["fixed"] * count)
            pixels, slopes = moving[at][valid], jacobian[at][valid]

            def of_step(
                step: Tensor, pixels: Tensor = pixels, slopes: Tensor = slopes, count: int = count
            ) -> Tensor:
                return unit(pixels + slopes @ step, floor * variance["moving"] * count)

            zero = torch.zeros(6, dtype=torch.float64)
            losses.append(float(1 - a @ of_step(zero)))
            j = torch.autograd.functional.jacobian(of_step, zero)
            normal += j.T @ j
    return sum(losses) / len(losses), normal / len(losses)


@pytest.mark.parametrize(("size", "stride"), WINDOWS)
def test_the_linearisation_is_that_of_the_loss(
    images: tuple[Tensor, ...], size: int | None, stride: int
) -> None:
    fixed, moving, jacobian, mask = images
    windows = prepare_windows(fixed, mask, size, stride)
    linear = linearize_ncc(windows, moving, jacobian)
    step = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    loss = ncc_loss(windows, moving + jacobian @ step)
    (gradient,) = torch.autograd.grad(loss, step)
    value, normal = brute_force(images, size, stride)
    assert float(linear.value) == pytest.approx(float(loss.detach()), abs=1e-12)
    assert float(linear.value) == pytest.approx(value, abs=1e-10)
    torch.testing.assert_close(linear.gradient, gradient, atol=1e-10, rtol=1e-8)
    torch.testing.assert_close(linear.normal_matrix, normal, atol=1e-10, rtol=1e-8)
    assert float(torch.linalg.eigvalsh(linear.normal_matrix).min()) >= -1e-12


def test_a_batch_is_its_members(images: tuple[Tensor, ...]) -> None:
    fixed, moving, jacobian, mask = images
    windows = prepare_windows(fixed, mask, 9, 3)
    moved = torch.stack((moving, fixed, moving.flip(0)))
    slopes = torch.stack((jacobian, jacobian.flip(0), 2 * jacobian))
    batch = linearize_ncc(windows, moved, slopes)
    torch.testing.assert_close(ncc_loss(windows, moved), batch.value)
    for number in range(3):
        alone = linearize_ncc(windows, moved[number], slopes[number])
        torch.testing.assert_close(batch[number].gradient, alone.gradient)
        torch.testing.assert_close(batch[number].normal_matrix, alone.normal_matrix)


def test_an_image_that_is_not_finite_spoils_its_own_linearisation_only(
    images: tuple[Tensor, ...],
) -> None:
    fixed, moving, jacobian, mask = images
    windows = prepare_windows(fixed, mask, 9, 3)
    both = torch.stack((moving, torch.full_like(moving, torch.nan)))
    here = linearize_ncc(windows, both, torch.stack((jacobian, jacobian)))
    assert here.is_finite().tolist() == [True, False]
    alone = linearize_ncc(windows, moving[None], jacobian[None])
    torch.testing.assert_close(here[0].normal_matrix, alone[0].normal_matrix)


def test_bad_arguments_are_named() -> None:
    image = torch.rand(10, 12)
    mask = torch.ones(10, 12, dtype=torch.bool)
    with pytest.raises(InputError, match=r"mask must have the image's shape \[10, 12\], got \[3"):
        prepare_windows(image, mask[:3], None)
    with pytest.raises(InputError, match=r"window size must be from 2 to 10 pixels.*got 11"):
        prepare_windows(image, mask, 11)
    with pytest.raises(InputError, match="mask must leave some pixels"):
        prepare_windows(image, ~mask, None)
