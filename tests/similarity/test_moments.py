"""Moments of regions: by hand, and their derivatives against central differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.similarity.moments import (
    SHIFT_WEIGHT,
    SIZE_WEIGHT,
    linearize_each_moments,
    moment_residuals,
    moments,
)

ALL = torch.ones(8, 10, dtype=torch.bool)


def _box(top: int, left: int, height: int, width: int) -> Tensor:
    mask = torch.zeros(1, 8, 10, dtype=torch.float64)
    mask[:, top : top + height, left : left + width] = 1.0
    return mask


def test_a_box_has_the_moments_of_a_box() -> None:
    found = moments(_box(2, 4, 3, 2), ALL)
    assert found.mass.tolist() == [6.0]
    # columns 4, 5 and rows 2, 3, 4 of 10 and 8, from the middle (4.5, 3.5)
    assert found.centroid[0].tolist() == pytest.approx([0.0, -0.5])
    assert found.spread[0].tolist() == pytest.approx([0.25, 0.0, 2 / 3])


def test_pixels_that_do_not_count_have_no_moments() -> None:
    valid = ALL.clone()
    valid[:, 5] = False
    found = moments(_box(2, 4, 3, 2), valid)
    assert found.mass.tolist() == [3.0]
    assert found.centroid[0].tolist() == pytest.approx([-0.5, -0.5])


def test_residuals_of_the_same_region_are_zero() -> None:
    target = moments(_box(2, 4, 3, 2), ALL)
    assert float(moment_residuals(target, target, 10).abs().max()) == 0.0


def test_a_shift_and_a_size_have_residuals_of_their_own() -> None:
    target = moments(_box(2, 4, 2, 2), ALL)
    shifted = moment_residuals(target, moments(_box(2, 6, 2, 2), ALL), 10)[0]
    assert shifted.tolist() == pytest.approx([0, SHIFT_WEIGHT * 0.2, 0, 0, 0, 0])
    larger = moment_residuals(target, moments(_box(1, 3, 4, 4), ALL), 10)[0]
    assert float(larger[0]) == pytest.approx(SIZE_WEIGHT * 0.6931, abs=1e-4)
    assert larger[1:3].tolist() == pytest.approx([0, 0])


def test_a_region_out_of_sight_is_far_off_and_finite() -> None:
    target = moments(_box(2, 4, 2, 2), ALL)
    residual = moment_residuals(target, moments(torch.zeros(1, 8, 10), ALL), 10)
    assert bool(torch.isfinite(residual).all())
    assert float(residual.abs().max()) > 3.0


def test_the_model_agrees_with_central_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(2, 3, 8, 10, generator=generator, dtype=torch.float64)
    jacobian = torch.randn(2, 3, 8, 10, 4, generator=generator, dtype=torch.float64)
    fixed = torch.rand(3, 8, 10, generator=generator, dtype=torch.float64)
    valid = torch.rand(3, 8, 10, generator=generator) > 0.2
    target = moments(fixed, valid)

    def residual(step: Tensor) -> Tensor:
        return moment_residuals(target, moments(masks + jacobian @ step, valid), 10)

    model = linearize_each_moments(target, masks, jacobian, valid)
    zero = torch.zeros(4, dtype=torch.float64)
    slopes = torch.stack(
        [(residual(zero + h) - residual(zero - h)) / 2e-6 for h in 1e-6 * torch.eye(4).double()],
        dim=-1,
    )
    here = residual(zero)
    assert torch.allclose(model.value, 0.5 * here.square().sum(dim=-1))
    assert torch.allclose(model.gradient, (slopes * here[..., None]).sum(dim=-2), atol=1e-7)
    assert torch.allclose(model.normal_matrix, slopes.mT @ slopes, atol=1e-6)


def test_below_the_least_mass_the_model_stays_finite_and_exact() -> None:
    target = moments(_box(1, 1, 4, 4), ALL)
    masks = torch.full((1, 1, 8, 10), 1e-5, dtype=torch.float64)
    jacobian = torch.randn(
        1, 1, 8, 10, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    model = linearize_each_moments(target, masks, 1e-4 * jacobian, ALL)

    def value(step: Tensor) -> Tensor:
        moved = moments(masks + 1e-4 * jacobian @ step, ALL, 1e-3 * target.mass)
        return 0.5 * moment_residuals(target, moved, 10).square().sum(dim=-1)

    h = 1e-4 * torch.eye(2, dtype=torch.float64)
    slope = torch.stack([(value(s) - value(-s)) / 2e-4 for s in h], dim=-1)
    assert torch.allclose(model.gradient, slope, atol=1e-6)
