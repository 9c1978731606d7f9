"""Ties: known by hand, and their derivatives against autograd and central differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.rigid import exp_se3, exp_so3, perturb, rigid, transform_points, twist_between
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration.ties import Tie, TieConfig, Ties

PIVOTS_MM = torch.tensor(
    [[5.0, -10.0, 20.0], [80.0, 0.0, -100.0], [-80.0, 10.0, -95.0]], dtype=torch.float64
)
TIES = Ties(
    ties=(None, Tie(rotation_rad=0.1, shift_mm=2.0), Tie(rotation_rad=0.3, shift_mm=0.5)),
    pivots_mm=PIVOTS_MM,
    residuals=200.0,
)
SCALE = torch.tensor([0.1, 0.1, 0.1, 3.0, 3.0, 3.0] * 3, dtype=torch.float64)


def step(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def moved(states: Tensor, steps: Tensor) -> Tensor:
    """[...,3,4,4] each body moved by its six parameters about its own pivot."""
    each = [
        perturb(states[..., k, :, :], steps[..., 6 * k : 6 * k + 6], PIVOTS_MM[k]) for k in range(3)
    ]
    return torch.stack(each, dim=-3)


def together() -> Tensor:
    """[1,3,4,4] bodies that have not moved against each other, somewhere in front of a camera."""
    pose = rigid(exp_so3(step(0.4, -0.8, 1.2)), step(10.0, -20.0, 700.0))
    return pose.expand(1, 3, 4, 4).clone()


def apart(angle_rad: float) -> Tensor:
    """[1,3,4,4] the bodies turned by an angle and shifted against each other."""
    axes = torch.tensor([[0.6, 0.0, 0.8], [0.0, -1.0, 0.0]], dtype=torch.float64)
    steps = torch.cat(
        (step(*[0.0] * 6), angle_rad * axes[0], step(1.0, -2.0, 3.0), angle_rad * axes[1],
         step(-0.5, 0.2, 0.1))
    )  # fmt: skip
    return moved(together(), steps[None])


APART = {"zero": 0.0, "small": 1e-4, "some": 0.15, "large": 2.5}


def residual(states: Tensor) -> Tensor:
    """[18] of one state: the relative poses over their deviations, written out."""
    parts = []
    for number, tie in enumerate(TIES.ties):
        if tie is not None:
            twist = twist_between(states[0], states[number], PIVOTS_MM[number])
            parts.append(twist / step(*[tie.rotation_rad] * 3, *[tie.shift_mm] * 3))
    return torch.cat(parts)


def test_the_sum_of_squares_known_by_hand() -> None:
    """0.2 rad of 0.1, 3 mm of 2, and 1 mm of 0.5: 4 + 2.25 + 4."""
    assert float(TIES.squared(together())) == pytest.approx(0.0, abs=1e-20)
    steps = torch.zeros(1, 18, dtype=torch.float64)
    steps[0, 6 + 1], steps[0, 6 + 5], steps[0, 12 + 3] = 0.2, -3.0, 1.0
    assert float(TIES.squared(moved(together(), steps))) == pytest.approx(10.25)
    # A turn about the body's own pivot does not shift it; one about another point does.
    about_first = perturb(together()[:, 1], step(0.2, 0.0, 0.0, 0.0, 0.0, 0.0), PIVOTS_MM[0])
    states = torch.stack((together()[:, 0], about_first, together()[:, 2]), dim=1)
    shift = transform_points(about_first, PIVOTS_MM[1:2]) - transform_points(
        together()[:, 0], PIVOTS_MM[1:2]
    )
    expected = 4.0 + float(shift.square().sum()) / 4.0
    assert float(TIES.squared(states)) == pytest.approx(expected)
    assert expected > 10.0


def test_the_model_where_nothing_has_moved_known_by_hand() -> None:
    """Two bodies with one pivot: only the difference of their parameters counts."""
    ties = Ties(
        ties=(None, Tie(rotation_rad=0.1, shift_mm=2.0)),
        pivots_mm=PIVOTS_MM[:1].expand(2, 3),
        residuals=50.0,
    )
    model = ties.half_squared(together()[:, :2])
    precision = torch.diag(step(100.0, 100.0, 100.0, 0.25, 0.25, 0.25))
    expected = torch.cat(
        (torch.cat((precision, -precision), 1), torch.cat((-precision, precision), 1))
    )
    torch.testing.assert_close(model.normal_matrix[0], expected)
    torch.testing.assert_close(model.gradient, torch.zeros(1, 12, dtype=torch.float64))
    # A loss of 3 weighs it with 2 * 3 / 50.
    loss = QuadraticModel(
        value=step(3.0),
        gradient=torch.ones(1, 12, dtype=torch.float64),
        normal_matrix=torch.zeros(1, 12, 12, dtype=torch.float64),
    )
    tied = ties.linearize(loss, together()[:, :2])
    torch.testing.assert_close(tied.normal_matrix[0], 0.12 * expected)
    torch.testing.assert_close(tied.value, loss.value)
    torch.testing.assert_close(tied.gradient, loss.gradient)


@pytest.mark.parametrize("angle_rad", APART.values(), ids=APART.keys())
def test_the_model_is_that_of_the_residuals(angle_rad: float) -> None:
    states, zero = apart(angle_rad), torch.zeros(18, dtype=torch.float64)
    slopes = torch.autograd.functional.jacobian(lambda d: residual(moved(states[0], d)), zero)
    model = TIES.half_squared(states)
    value = residual(states[0])
    torch.testing.assert_close(model.value[0], 0.5 * value.square().sum())
    torch.testing.assert_close(TIES.squared(states), 2.0 * model.value)
    torch.testing.assert_close(model.gradient[0], slopes.T @ value, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(model.normal_matrix[0], slopes.T @ slopes, atol=1e-7, rtol=1e-8)


@pytest.mark.parametrize("angle_rad", APART.values(), ids=APART.keys())
def test_the_gradient_is_that_of_central_differences(angle_rad: float) -> None:
    """Also through the loss that the ties multiply, which changes with the pose itself."""
    states, steps = apart(angle_rad), 1e-4 * torch.diag(SCALE)
    gradient = TIES.half_squared(states).gradient[0] * SCALE
    ahead, behind = (
        TIES.squared(moved(states.expand(18, 3, 4, 4), sign * steps)) for sign in (1.0, -1.0)
    )
    torch.testing.assert_close((ahead - behind) / 4e-4, gradient, atol=1e-5, rtol=1e-5)
    tied = TIES.linearize(of_points(states), states)
    torch.testing.assert_close(tied.value, TIES.loss(of_points(states).value, states))
    ahead, behind = (tied_loss(states, sign * steps) for sign in (1.0, -1.0))
    torch.testing.assert_close(
        (ahead - behind) / 2e-4, tied.gradient[0] * SCALE, atol=1e-4, rtol=1e-5
    )


def tied_loss(states: Tensor, steps: Tensor) -> Tensor:
    there = moved(states.expand(len(steps), 3, 4, 4), steps)
    return TIES.loss(of_points(there).value, there)


def of_points(states: Tensor) -> QuadraticModel:
    """A loss for each state [B,3,4,4]: how far a point of each body lies from where it should."""
    point, goal = step(30.0, 40.0, 50.0), step(20.0, -30.0, 690.0)

    def off(states: Tensor) -> Tensor:
        return 0.1 * (transform_points(states, point[None])[..., 0, :] - goal).flatten(-2)

    models = []
    for state in states:
        zero = torch.zeros(18, dtype=torch.float64)
        slopes = torch.autograd.functional.jacobian(lambda d, at=state: off(moved(at, d)), zero)
        models.append((0.5 * off(state).square().sum(), slopes.T @ off(state), slopes.T @ slopes))
    value, gradient, normal = (torch.stack(part) for part in zip(*models, strict=True))
    return QuadraticModel(value=value, gradient=gradient, normal_matrix=normal)


def test_what_moves_all_bodies_changes_nothing() -> None:
    states = apart(0.4)
    motion = exp_se3(step(0.9, -1.4, 0.3, 100.0, 200.0, -50.0))
    torch.testing.assert_close(TIES.squared(motion @ states), TIES.squared(states))
    # So a common shift, and a common turn about the first pivot, are directions without slope.
    model = TIES.half_squared(states)
    first = transform_points(states[0, 0], PIVOTS_MM[:1])[0]
    for axis in torch.eye(3, dtype=torch.float64):
        shift, turn = torch.zeros(2, 18, dtype=torch.float64)
        for number in range(3):
            pivot = transform_points(states[0, number], PIVOTS_MM[number : number + 1])[0]
            shift[6 * number + 3 : 6 * number + 6] = axis
            turn[6 * number : 6 * number + 3] = axis
            turn[6 * number + 3 : 6 * number + 6] = torch.linalg.cross(axis, pivot - first)
        for direction in (shift, turn):
            assert abs(float(model.gradient[0] @ direction)) < 1e-7
        # Of a turn the relative pose turns along, which the model sees; a shift it does not.
        assert abs(float(shift @ model.normal_matrix[0] @ shift)) < 1e-9


def test_a_perfect_match_has_no_force() -> None:
    states = apart(0.4)
    nothing = torch.zeros(1, 18, dtype=torch.float64)
    perfect = QuadraticModel(
        value=step(0.0), gradient=nothing, normal_matrix=torch.diag_embed(nothing + 1.0)
    )
    tied = TIES.linearize(perfect, states)
    assert float(tied.value) == 0.0
    assert torch.equal(tied.gradient, nothing)
    assert bool((torch.linalg.eigvalsh(tied.normal_matrix[0]) > 0).all())
    assert float(TIES.loss(step(0.0), states)) == 0.0


def test_a_batch_is_its_states_one_by_one() -> None:
    states = torch.cat([apart(angle) for angle in APART.values()])
    model = TIES.half_squared(states)
    for number in range(len(states)):
        one = TIES.half_squared(states[number : number + 1])
        torch.testing.assert_close(model.gradient[number], one.gradient[0])
        torch.testing.assert_close(model.normal_matrix[number], one.normal_matrix[0])


def test_the_loss_is_differentiable_and_keeps_its_type() -> None:
    states = apart(0.15)
    steps = torch.zeros(1, 18, dtype=torch.float64, requires_grad=True)
    loss = TIES.loss(torch.tensor([0.5]), moved(states, steps))
    assert loss.dtype == torch.float32
    loss.sum().backward()
    assert steps.grad is not None
    expected = 2.0 * 0.5 / 200.0 * TIES.half_squared(states).gradient
    torch.testing.assert_close(steps.grad, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("values", [(0.0, 1.0), (0.1, 0.0), (-0.1, 1.0), (float("nan"), 1.0)])
def test_deviations_must_be_positive(values: tuple[float, float]) -> None:
    said = "^rotation_rad and shift_mm of a tie must be positive, got"
    with pytest.raises(InputError, match=said):
        Tie(rotation_rad=values[0], shift_mm=values[1])


def test_a_bone_in_a_socket_turns_and_soft_tissue_does_not() -> None:
    config = TieConfig()
    assert config.ball.rotation_rad == config.loose.rotation_rad > 10 * config.rest.rotation_rad
    assert config.ball.shift_mm < config.loose.shift_mm
