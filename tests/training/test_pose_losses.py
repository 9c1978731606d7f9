from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from wsreg.geometry.rigid import exp_so3, perturb, rigid
from wsreg.similarity.ncc import GlobalNcc, LocalNcc
from wsreg.similarity.window_ncc import WindowConfig
from wsreg.training.pose_losses import (
    double_geodesic_mm,
    multiscale_ncc,
    negative_log_likelihood,
    roi_dice,
    se3_geodesic_mm,
)

PIVOT = torch.tensor([5.0, -8.0, 20.0], dtype=torch.float64)
F_MM = 1000.0


def numbers(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


@pytest.fixture
def pose() -> Tensor:
    turn = exp_so3(torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64))
    return rigid(turn, torch.tensor([3.0, 4.0, 700.0], dtype=torch.float64))[None]


def test_shifts_are_as_long_as_they_are(pose: Tensor) -> None:
    moved = perturb(pose, numbers(0, 0, 0, 3.0, 4.0, 12.0), PIVOT)
    assert float(double_geodesic_mm(moved, pose, PIVOT, F_MM)) == pytest.approx(13.0)
    assert float(se3_geodesic_mm(moved, pose, PIVOT, F_MM)) == pytest.approx(13.0)


def test_turns_about_the_pivot_count_half_the_distance_for_each_rad(pose: Tensor) -> None:
    turned = perturb(pose, numbers(0.0, 0.12, 0.16, 0, 0, 0), PIVOT)
    assert float(double_geodesic_mm(turned, pose, PIVOT, F_MM)) == pytest.approx(0.2 * 500.0)
    assert float(se3_geodesic_mm(turned, pose, PIVOT, F_MM)) == pytest.approx(0.2 * 500.0)


def test_both_together(pose: Tensor) -> None:
    moved = perturb(pose, numbers(0.0, 0.0, math.pi / 2, 30.0, 0.0, 40.0), PIVOT)
    arc = math.pi / 2 * 500.0
    assert float(double_geodesic_mm(moved, pose, PIVOT, F_MM)) == pytest.approx(
        math.hypot(arc, 50.0)
    )
    # A chord of 30 across the axis of a quarter turn is an arc of pi/2 * 30 / sqrt(2); the way
    # along the axis stays 40.
    arc_of_shift = 30.0 / math.sqrt(2.0) * math.pi / 2
    assert float(se3_geodesic_mm(moved, pose, PIVOT, F_MM)) == pytest.approx(
        math.sqrt(arc**2 + 40.0**2 + arc_of_shift**2)
    )


@pytest.mark.parametrize("distance", [double_geodesic_mm, se3_geodesic_mm])
@pytest.mark.parametrize(
    "at",
    [
        numbers(0.1, -0.2, 0.3, 4.0, 5.0, -6.0),
        numbers(1e-6, 0.0, 0.0, 0.0, 1e-4, 0.0),
        numbers(0.0, 0.0, math.pi - 1e-4, 1.0, 0.0, 0.0),
        numbers(math.pi - 1e-7, 0.0, 0.0, 0.0, 0.0, 2.0),
    ],
)
def test_derivatives_match_differences(distance: object, at: Tensor, pose: Tensor) -> None:
    assert callable(distance)
    scale = torch.tensor([1e-8, 1e-8, 1e-8, 1e-6, 1e-6, 1e-6], dtype=torch.float64)

    def length(twist: Tensor) -> Tensor:
        result: Tensor = distance(perturb(pose, twist, PIVOT), pose, PIVOT, F_MM).sum()
        return result

    twist = at.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(length(twist), twist)
    for axis in range(6):
        step = torch.zeros(1, 6, dtype=torch.float64)
        step[0, axis] = scale[axis]
        with torch.no_grad():
            difference = (length(at + step) - length(at - step)) / (2.0 * scale[axis])
        assert float(gradient[0, axis]) == pytest.approx(float(difference), rel=1e-3, abs=0.05)


@pytest.mark.parametrize("distance", [double_geodesic_mm, se3_geodesic_mm])
@pytest.mark.parametrize("twist", [numbers(0, 0, 0, 0, 0, 0), numbers(0, math.pi, 0, 0, 0, 0)])
def test_derivatives_at_nothing_and_at_half_turns_are_finite(
    distance: object, twist: Tensor, pose: Tensor
) -> None:
    assert callable(distance)
    at = twist.clone().requires_grad_(True)
    value = distance(perturb(pose, at, PIVOT), pose, PIVOT, F_MM).sum()
    (gradient,) = torch.autograd.grad(value, at)
    assert bool(torch.isfinite(gradient).all())
    assert float(value.detach()) == pytest.approx(float(twist.norm()) * 500.0, abs=1e-6)
    if not twist.any():
        assert not gradient.any()


def pictures() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    fixed = torch.rand(3, 20, 24, generator=generator, dtype=torch.float64)
    moving = fixed + 0.7 * torch.rand(3, 20, 24, generator=generator, dtype=torch.float64)
    return fixed, moving


def test_ncc_is_half_global_and_half_local_for_each_pair() -> None:
    fixed, moving = pictures()
    found = multiscale_ncc(fixed, moving, 6)
    plain = WindowConfig(weight_floor=0.0, robust_scale=0.0)
    for one, other, value in zip(fixed, moving, found, strict=True):
        mask = torch.ones_like(one, dtype=torch.bool)
        local = LocalNcc(windows_px=(6,), windows=plain).prepare(one, mask).similarity(other[None])
        whole = GlobalNcc().prepare(one, mask).similarity(other[None])
        expected = 0.5 * float(local) + 0.5 * float(whole)
        assert float(value) == pytest.approx(expected, abs=1e-5)
        correlation = np.corrcoef(one.flatten(), other.flatten())[0, 1]
        assert float(whole) == pytest.approx(correlation)


def test_ncc_is_blind_to_brightness_and_contrast_and_has_a_gradient() -> None:
    fixed, moving = pictures()
    same = multiscale_ncc(fixed, 3.0 * fixed + 2.0, 7)
    torch.testing.assert_close(same, torch.ones(3, dtype=torch.float64))
    flat = torch.ones_like(fixed, requires_grad=True)
    multiscale_ncc(fixed, flat, 7).sum().backward()
    assert flat.grad is not None
    assert bool(torch.isfinite(flat.grad).all())
    small = moving[:1, :6, :6].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: multiscale_ncc(fixed[:1, :6, :6], x, 3), small)


def test_dice_by_hand() -> None:
    fixed = torch.zeros(2, 3, 4, 4)
    fixed[0, 0, :2] = 1.0  # 8 pixels, of which 4 are found
    fixed[0, 1, 0, 0] = 1.0  # found
    moving = torch.zeros_like(fixed)
    moving[0, 0, 1:3] = 1.0
    moving[0, 1, 0, 0] = 1.0
    moving[0, 2] = 1.0  # is not there: says nothing
    moving[1, 0] = 1.0  # nothing at all is there
    assert roi_dice(fixed, moving).tolist() == pytest.approx([0.75, 1.0])
    nowhere = torch.zeros(1, 3, 4, 4)
    assert roi_dice(fixed[:1], nowhere).tolist() == [0.0]


def test_the_likelihood_is_greatest_where_variance_is_the_mean_square() -> None:
    errors = torch.tensor([[0.5, -0.5, 0.5, -0.5, 0.5, 0.5]])
    right = torch.full((1, 6), math.log(0.25))
    best = float(negative_log_likelihood(errors, right))
    assert best == pytest.approx(0.5 * (1.0 + math.log(0.25)))
    for wrong in (right + 0.1, right - 0.1):
        assert float(negative_log_likelihood(errors, wrong)) > best
    assert math.isfinite(float(negative_log_likelihood(errors, right - 1e6)))
