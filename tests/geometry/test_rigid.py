from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wsreg.geometry.rigid import (
    exp_se3,
    exp_so3,
    inverse_affine,
    inverse_left_jacobian,
    inverse_rigid,
    log_se3,
    log_so3,
    perturb,
    rigid,
    rotation_angle_rad,
    skew,
    transform_points,
    twist_between,
)

# Both sides of every switch to a series, and the ends of the range.
ANGLES_RAD = (0.0, 1e-8, 1e-4, 0.01, 0.0999, 0.1001, 1.0, 3.0, math.pi - 1e-6, math.pi)
DTYPES = (torch.float32, torch.float64)
AXIS = torch.tensor([0.48, -0.6, 0.64], dtype=torch.float64)
TRANSLATION = torch.tensor([0.03, -0.2, 0.7], dtype=torch.float64)
"""Of length near 1, where torch's matrix exponential is at its best."""


def tolerance(dtype: torch.dtype) -> float:
    return 16 * torch.finfo(dtype).eps


def generator(twist: Tensor) -> Tensor:
    """[4,4] matrix whose exponential is the motion of a twist."""
    top = torch.cat((skew(twist[:3]), twist[3:, None]), dim=-1)
    return torch.cat((top, torch.zeros_like(top[:1])))


def jacobian(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    columns = torch.autograd.functional.jacobian(function, at)
    assert isinstance(columns, Tensor)
    return columns


def check_value_and_derivative(
    function: Callable[[Tensor], Tensor], oracle: Callable[[Tensor], Tensor], at: Tensor
) -> None:
    """Agreement with an oracle in float64, which is itself good to 1e-13 only at 0.01 rad."""
    close: dict[str, Any] = {"rtol": 0.0, "atol": max(tolerance(at.dtype), 2e-13)}
    exact = at.double()
    assert function(at).dtype == at.dtype
    torch.testing.assert_close(function(at).double(), oracle(exact), **close)
    torch.testing.assert_close(jacobian(function, at).double(), jacobian(oracle, exact), **close)


def random_pose(seed: int) -> Tensor:
    twist = torch.randn(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return rigid(exp_so3(twist[:3]), 300 * twist[3:])


def test_skew_is_the_cross_product() -> None:
    a, b = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([-4.0, 5.0, 6.0])
    torch.testing.assert_close(skew(a) @ b, torch.linalg.cross(a, b))


def test_exp_of_zero_is_exactly_the_identity() -> None:
    assert torch.equal(exp_so3(torch.zeros(3)), torch.eye(3))
    assert torch.equal(exp_se3(torch.zeros(6)), torch.eye(4))


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    rotation = exp_so3(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    expected = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(rotation, expected.double())


def test_exp_se3_of_a_half_turn_is_the_semicircle_known_by_hand() -> None:
    # Moving at 1 along x while turning by pi about z ends after a semicircle of diameter 2/pi.
    motion = exp_se3(torch.tensor([0.0, 0.0, math.pi, 1.0, 0.0, 0.0], dtype=torch.float64))
    expected = torch.tensor([0.0, 2 / math.pi, 0.0], dtype=torch.float64)
    torch.testing.assert_close(motion[:3, 3], expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("angle", ANGLES_RAD)
def test_exp_and_its_derivative_are_those_of_the_matrix_exponential(
    angle: float, dtype: torch.dtype
) -> None:
    rotation_vector = (angle * AXIS).to(dtype)

    def oracle(w: Tensor) -> Tensor:
        result: Tensor = torch.linalg.matrix_exp(skew(w))
        return result

    check_value_and_derivative(exp_so3, oracle, rotation_vector)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("angle", ANGLES_RAD)
def test_exp_se3_and_its_derivative_are_those_of_the_matrix_exponential(
    angle: float, dtype: torch.dtype
) -> None:
    twist = torch.cat((angle * AXIS, TRANSLATION)).to(dtype)

    def oracle(x: Tensor) -> Tensor:
        result: Tensor = torch.linalg.matrix_exp(generator(x))
        return result

    check_value_and_derivative(exp_se3, oracle, twist)


@pytest.mark.parametrize("angle", ANGLES_RAD)
def test_gradients_agree_with_central_differences(angle: float) -> None:
    twist = torch.cat((angle * AXIS, TRANSLATION)).requires_grad_()
    assert torch.autograd.gradcheck(exp_se3, twist)
    assert torch.autograd.gradgradcheck(exp_se3, twist)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("angle", ANGLES_RAD)
def test_log_undoes_exp(angle: float, dtype: torch.dtype) -> None:
    rotation_vector = (angle * AXIS).to(dtype)
    back = log_so3(exp_so3(rotation_vector))
    if angle == math.pi and float(back @ rotation_vector) < 0:
        back = -back
    torch.testing.assert_close(back, rotation_vector, rtol=tolerance(dtype), atol=0.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("angle", ANGLES_RAD[:-1])
def test_derivative_of_log_of_exp_is_the_identity(angle: float, dtype: torch.dtype) -> None:
    derivative = jacobian(lambda w: log_so3(exp_so3(w)), (angle * AXIS).to(dtype))
    torch.testing.assert_close(
        derivative, torch.eye(3, dtype=dtype), rtol=0.0, atol=tolerance(dtype)
    )


@pytest.mark.parametrize(
    "axis", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.6, 0.8)]
)
def test_log_of_an_exact_half_turn_lies_along_its_axis(axis: tuple[float, float, float]) -> None:
    direction = torch.tensor(axis, dtype=torch.float64)
    half_turn = (2 * torch.outer(direction, direction) - torch.eye(3)).requires_grad_()
    vector = log_so3(half_turn)
    torch.testing.assert_close(vector.abs().detach(), math.pi * direction)
    vector.sum().backward()
    assert half_turn.grad is not None
    assert bool(torch.isfinite(half_turn.grad).all())


def test_log_of_every_kind_of_rotation_and_its_derivatives_are_romas() -> None:
    generator = torch.Generator().manual_seed(7)
    directions = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    angles = torch.linspace(0.01, 3.1, 200, dtype=torch.float64)  # both sides of the series' end
    rotations = exp_so3(directions / directions.norm(dim=-1, keepdim=True) * angles[:, None])
    close: dict[str, Any] = {"rtol": 0.0, "atol": 1e-12}
    torch.testing.assert_close(log_so3(rotations), roma.rotmat_to_rotvec(rotations), **close)

    # The derivative along rotations, which is all that a rotation matrix can do.
    def turned(log: Callable[[Tensor], Tensor], w: Tensor) -> Tensor:
        return log(exp_so3(w) @ rotations[::20]).sum(dim=0)

    zero = torch.zeros(3, dtype=torch.float64)
    ours = jacobian(lambda w: turned(log_so3, w), zero)
    torch.testing.assert_close(
        ours, jacobian(lambda w: turned(roma.rotmat_to_rotvec, w), zero), rtol=0.0, atol=1e-10
    )
    torch.testing.assert_close(torch.func.jacfwd(lambda w: turned(log_so3, w))(zero), ours, **close)


@pytest.mark.parametrize("angle", ANGLES_RAD)
def test_log_se3_undoes_exp_se3(angle: float) -> None:
    twist = torch.cat((angle * AXIS, TRANSLATION))
    motion = exp_se3(twist)
    torch.testing.assert_close(exp_se3(log_se3(motion)), motion, rtol=0.0, atol=1e-10)
    if angle < math.pi:
        torch.testing.assert_close(log_se3(motion), twist, rtol=1e-12, atol=1e-20)


@pytest.mark.parametrize("angle", ANGLES_RAD)
def test_rotation_angle(angle: float) -> None:
    measured = rotation_angle_rad(exp_so3(angle * AXIS))
    assert float(measured) == pytest.approx(angle, rel=1e-12, abs=1e-20)


def test_rotation_angle_of_the_identity_has_a_finite_gradient() -> None:
    identity = torch.eye(3, requires_grad=True)
    rotation_angle_rad(identity).backward()
    assert identity.grad is not None
    assert bool(torch.isfinite(identity.grad).all())


def test_inverse_undoes_a_motion_of_points() -> None:
    motion = rigid(exp_so3(AXIS), TRANSLATION)
    points = torch.tensor([[1.0, 2.0, 3.0], [-40.0, 50.0, -60.0]], dtype=torch.float64)
    back = transform_points(inverse_rigid(motion), transform_points(motion, points))
    torch.testing.assert_close(back, points)


def test_transform_points_turns_then_moves() -> None:
    quarter = exp_so3(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    motion = rigid(quarter, torch.tensor([10.0, 0.0, 0.0], dtype=torch.float64))
    moved = transform_points(motion, torch.tensor([[1.0, 0.0, 5.0]], dtype=torch.float64))
    torch.testing.assert_close(moved, torch.tensor([[10.0, 1.0, 5.0]], dtype=torch.float64))


def test_batches_are_the_single_results_stacked() -> None:
    twists = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    motions = exp_se3(twists)
    assert motions.shape == (2, 3, 4, 4)
    torch.testing.assert_close(motions[1, 2], exp_se3(twists[1, 2]))
    torch.testing.assert_close(log_se3(motions), twists)
    points = torch.randn(2, 3, 7, 3, dtype=torch.float64)
    moved = transform_points(motions, points)
    torch.testing.assert_close(moved[1, 2], transform_points(motions[1, 2], points[1, 2]))


def test_perturb_turns_about_the_pivot_and_moves_along_the_camera_axes() -> None:
    camera_from_ct = random_pose(1)
    pivot = torch.tensor([12.0, -34.0, 56.0], dtype=torch.float64)
    rotation_vector = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    shift = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    moved = perturb(camera_from_ct, torch.cat((rotation_vector, shift)), pivot)

    ct_point = torch.tensor([-70.0, 80.0, 90.0], dtype=torch.float64)
    before, centre = transform_points(camera_from_ct, torch.stack((ct_point, pivot)))
    expected = exp_so3(rotation_vector) @ (before - centre) + centre + shift
    after, centre_after = transform_points(moved, torch.stack((ct_point, pivot)))
    torch.testing.assert_close(after, expected)
    torch.testing.assert_close(centre_after, centre + shift)


def test_perturb_by_zero_changes_nothing() -> None:
    camera_from_ct = random_pose(2)
    pivot = torch.full((3,), 100.0, dtype=torch.float64)
    moved = perturb(camera_from_ct, torch.zeros(6, dtype=torch.float64), pivot)
    torch.testing.assert_close(moved, camera_from_ct, rtol=0.0, atol=1e-12)


def test_perturb_takes_a_batch_of_twists_on_one_pose() -> None:
    camera_from_ct, pivot = random_pose(3), torch.zeros(3, dtype=torch.float64)
    twists = torch.eye(6, dtype=torch.float64)
    moved = perturb(camera_from_ct, twists, pivot)
    assert moved.shape == (6, 4, 4)
    torch.testing.assert_close(moved[4], perturb(camera_from_ct, twists[4], pivot))


@settings(max_examples=40, deadline=None)
@given(
    seeds=st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
    pivot=st.lists(st.floats(-1000, 1000), min_size=3, max_size=3),
)
def test_twist_between_two_poses_leads_from_one_to_the_other(
    seeds: tuple[int, int], pivot: list[float]
) -> None:
    a, b = (random_pose(seed) for seed in seeds)
    pivot_ct_mm = torch.tensor(pivot, dtype=torch.float64)
    twist = twist_between(a, b, pivot_ct_mm)
    torch.testing.assert_close(perturb(a, twist, pivot_ct_mm), b, rtol=0.0, atol=1e-9)


def test_pose_update_and_its_inverse_have_right_gradients() -> None:
    a, b = random_pose(4), random_pose(5)
    pivot = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    zero = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: perturb(a, x, pivot), zero)
    assert torch.autograd.gradcheck(lambda x: twist_between(perturb(a, x, pivot), b, pivot), zero)
    assert torch.autograd.gradcheck(lambda x: twist_between(a, perturb(a, x, pivot), pivot), zero)


@pytest.mark.parametrize("dtype", DTYPES)
def test_forward_derivative_of_perturb_at_zero_is_the_one_known_by_hand(dtype: torch.dtype) -> None:
    camera_from_ct = random_pose(6).to(dtype)
    pivot, point = torch.tensor([[10.0, -20.0, 30.0], [-70.0, 80.0, 90.0]], dtype=dtype)
    direction = torch.tensor([0.1, -0.2, 0.3, 1.0, 2.0, 3.0], dtype=dtype)

    def moved(twist: Tensor) -> Tensor:
        return transform_points(perturb(camera_from_ct, twist, pivot), point[None])[0]

    zero = torch.zeros(6, dtype=dtype)
    value, derivative = torch.func.jvp(moved, (zero,), (direction,))  # type: ignore[misc]
    before, centre = transform_points(camera_from_ct, torch.stack((point, pivot)))
    expected = torch.linalg.cross(direction[:3], before - centre) + direction[3:]
    assert derivative.dtype == dtype
    torch.testing.assert_close(value, before)
    torch.testing.assert_close(derivative, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("angle", ANGLES_RAD)
def test_forward_and_backward_derivatives_agree(angle: float, dtype: torch.dtype) -> None:
    twist = torch.cat((angle * AXIS, TRANSLATION)).to(dtype)
    forward = torch.func.jacfwd(exp_se3)(twist)
    torch.testing.assert_close(forward, jacobian(exp_se3, twist), rtol=0.0, atol=tolerance(dtype))


def test_the_inverse_of_an_affine_motion() -> None:
    generator = torch.Generator().manual_seed(5)
    affine = torch.randn(20, 4, 4, generator=generator, dtype=torch.float64)
    affine[:, 3] = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(inverse_affine(affine), torch.linalg.inv(affine))
    mirrored = torch.diag(torch.tensor([-2.0, 0.5, 4.0, 1.0], dtype=torch.float64))
    mirrored[0, 3] = 6.0
    expected = torch.diag(torch.tensor([-0.5, 2.0, 0.25, 1.0], dtype=torch.float64))
    expected[0, 3] = 3.0
    torch.testing.assert_close(inverse_affine(mirrored), expected)


def test_the_inverse_left_jacobian_known_by_hand() -> None:
    """Of no turn nothing changes; of half a turn about z, cot(pi/2) = 0 leaves x and y crossed."""
    zero = torch.zeros(3, dtype=torch.float64)
    assert torch.equal(inverse_left_jacobian(zero), torch.eye(3, dtype=torch.float64))
    half_turn = torch.tensor([0.0, 0.0, math.pi], dtype=torch.float64)
    quarter = math.pi / 2
    expected = torch.tensor([[0.0, quarter, 0.0], [-quarter, 0.0, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(
        inverse_left_jacobian(half_turn), expected.double(), rtol=0.0, atol=1e-7
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("angle", [angle for angle in ANGLES_RAD if angle <= 3.0])
def test_the_inverse_left_jacobian_is_how_a_log_changes(angle: float, dtype: torch.dtype) -> None:
    at = angle * AXIS
    rotation, zero = exp_so3(at), torch.zeros(3, dtype=torch.float64)
    found = inverse_left_jacobian(at.to(dtype))
    assert found.dtype == dtype
    before = jacobian(lambda d: log_so3(exp_so3(d) @ rotation), zero)
    after = jacobian(lambda d: log_so3(rotation @ exp_so3(d)), zero)
    close: dict[str, Any] = {"rtol": 0.0, "atol": max(40 * torch.finfo(dtype).eps, 1e-11)}
    torch.testing.assert_close(found.double(), before, **close)
    torch.testing.assert_close(found.mT.double(), after, **close)
    torch.testing.assert_close(inverse_left_jacobian(-at.to(dtype)), found.mT)


def test_the_inverse_left_jacobian_takes_a_batch() -> None:
    vectors = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = inverse_left_jacobian(vectors)
    assert found.shape == (2, 4, 3, 3)
    torch.testing.assert_close(found[1, 2], inverse_left_jacobian(vectors[1, 2]))
