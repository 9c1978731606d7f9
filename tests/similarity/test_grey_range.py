"""The common scale of grey values: known ends, exact derivatives."""

from __future__ import annotations

import pytest
import torch

from wsreg.similarity.grey_range import grey_range, matched_pixels

WHOLE = torch.ones(10, 10, dtype=torch.bool)


def test_the_ends_are_the_means_of_a_fiftieth_of_the_pixels() -> None:
    pixels = torch.arange(100.0)[torch.randperm(100)]  # two are darkest, two brightest
    ends = grey_range(pixels)
    assert float(ends.low) == 0.5
    assert float(ends.low + ends.span) == 98.5
    scaled = ends.scaled(pixels)
    assert float(scaled.min()) == pytest.approx(-0.5 / 98)
    assert float(scaled.max()) == pytest.approx(1.0 + 0.5 / 98)
    # Of few pixels the darkest and the brightest one.
    few = grey_range(torch.tensor([3.0, 1.0, 5.0, 2.0]))
    assert (float(few.low), float(few.span)) == (1.0, 4.0)


def test_valid_pixels_alone_make_the_scale() -> None:
    image = torch.arange(100.0).reshape(10, 10)
    mask = WHOLE.clone()
    mask[0] = False
    pixels = matched_pixels(image, mask)
    assert pixels.where.tolist() == list(range(10, 100))
    image[0] = 1e6
    torch.testing.assert_close(pixels.residual(image[None]), torch.zeros(1, 90))


def test_a_jacobian_of_scaled_pixels_is_exact() -> None:
    """It knows that the ends of the scale change: against autograd, and for gain and offset."""
    generator = torch.Generator().manual_seed(0)
    fixed = torch.rand(10, 10, generator=generator, dtype=torch.float64)
    moving = torch.rand(2, 10, 10, generator=generator, dtype=torch.float64)
    jacobian = torch.rand(2, 10, 10, 2, generator=generator, dtype=torch.float64)
    pixels = matched_pixels(fixed, WHOLE)
    residual, columns = pixels.linearized(moving, jacobian)
    torch.testing.assert_close(residual, pixels.residual(moving))
    expected = torch.autograd.functional.jacobian(
        lambda step: pixels.residual(moving + jacobian @ step),
        torch.zeros(2, dtype=torch.float64),
    )
    torch.testing.assert_close(columns, expected.movedim(-1, -2))
    of_gain_and_offset = torch.stack((moving, torch.ones_like(moving)), dim=-1)
    _, columns = pixels.linearized(moving, of_gain_and_offset)
    assert float(columns.abs().max()) < 1e-12


def test_a_flat_image_is_zero() -> None:
    flat = torch.full((1, 10, 10), 3.0)
    pixels = matched_pixels(flat[0], WHOLE)
    assert not bool(pixels.fixed.any())
    residual, columns = pixels.linearized(flat, torch.zeros(1, 10, 10, 2))
    assert not bool(residual.any())
    assert not bool(columns.any())
