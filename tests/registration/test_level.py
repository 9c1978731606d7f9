"""A level: the loss of several views and bodies, and its derivatives."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from wsreg.geometry.rigid import perturb
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.projection import Projection
from wsreg.registration.terms.config import RoiConfig
from wsreg.registration.terms.rendered_roi_term import RenderedRoiTerm
from wsreg.registration.ties import Tie, Ties

SCALE = torch.tensor([0.02, 0.02, 0.02, 3.0, 3.0, 6.0] * 2, dtype=torch.float64)
"""Steps (rad, mm) that change the images about alike."""


@pytest.fixture(name="states", scope="module")
def _states(pair: Problem, true_state: Tensor) -> Tensor:
    return torch.stack((pair.start, true_state))


def test_a_step_moves_each_body_about_its_own_pivot(pair_level: Level, states: Tensor) -> None:
    steps = torch.stack((SCALE, -2.0 * SCALE))
    moved = pair_level.move(states, steps)
    for number, body in enumerate(pair_level.bodies):
        for state in range(2):
            expected = perturb(
                states[state, number], steps[state, 6 * number : 6 * number + 6], body.pivot_mm
            )
            torch.testing.assert_close(moved[state, number], expected)
    # One state, one step: as Adam moves.
    torch.testing.assert_close(pair_level.move(states[0], steps[0]), moved[0])
    assert torch.equal(pair_level.move(states, 0.0 * steps), states)


def test_the_gradient_is_that_of_central_differences(pair_level: Level, states: Tensor) -> None:
    """Two views, two bodies and regions; single precision allows differences of some size."""
    model = pair_level.linearize(states[:1])
    with torch.no_grad():
        assert float(pair_level.loss(states[:1])) == pytest.approx(float(model.value), rel=1e-4)
        steps = 0.02 * torch.diag(SCALE)
        here = states[:1].expand(12, 2, 4, 4)
        ahead, behind = (
            pair_level.loss(pair_level.move(here, sign * steps)).double() for sign in (1.0, -1.0)
        )
    slopes = (ahead - behind) / 0.04
    gradient = model.gradient[0] * SCALE
    torch.testing.assert_close(gradient, slopes, rtol=0.02, atol=0.01 * float(slopes.abs().max()))


def test_the_gradient_is_autograds(pair_level: Level, states: Tensor) -> None:
    steps = torch.zeros(2, 12, dtype=torch.float64, requires_grad=True)
    loss = pair_level.loss(pair_level.move(states, steps))
    (gradient,) = torch.autograd.grad(loss.sum(), steps)
    model = pair_level.linearize(states)
    torch.testing.assert_close(model.value, loss.detach().double(), rtol=1e-4, atol=1e-6)
    apart = (model.gradient - gradient) * SCALE
    assert float(apart.abs().max()) < 1e-3 * float((gradient * SCALE).abs().max())


def test_little_is_lost_at_the_truth_and_both_bodies_are_seen(
    pair_level: Level, states: Tensor
) -> None:
    model = pair_level.linearize(states)
    assert float(model.value[1]) < 0.1 * float(model.value[0])
    curvature = model.normal_matrix[0].diagonal() * SCALE.square()
    assert float(curvature.min()) > 1e-5
    assert model.normal_matrix.shape == (2, 12, 12)


def test_the_loss_is_the_sum_over_views(pair_level: Level, states: Tensor) -> None:
    alone = [dataclasses.replace(pair_level, views=(view,)) for view in pair_level.views]
    both = pair_level.linearize(states)
    each = [level.linearize(states) for level in alone]
    torch.testing.assert_close(both.value, each[0].value + each[1].value)
    torch.testing.assert_close(both.gradient, each[0].gradient + each[1].gradient)
    torch.testing.assert_close(both.normal_matrix, each[0].normal_matrix + each[1].normal_matrix)
    with torch.no_grad():
        losses = [level.loss(states) for level in alone]
        torch.testing.assert_close(pair_level.loss(states), losses[0] + losses[1])


def test_a_second_view_sees_the_depth_of_the_first(pair_level: Level, states: Tensor) -> None:
    """Curvature along the first camera's rays, of the pelvis."""
    one = dataclasses.replace(pair_level, views=pair_level.views[:1])
    alone, both = (level.linearize(states[:1]).normal_matrix[0] for level in (one, pair_level))
    assert float(both[5, 5]) > 5.0 * float(alone[5, 5])


def test_regions_alone(pair_level: Level, states: Tensor) -> None:
    """Only the view that has regions stays, and its image is not rendered any more."""
    config = RoiConfig(dice_weight=0.5, distance_weight=2.0)
    regions = pair_level.with_rois_alone(config)
    assert regions is not None
    (view,) = regions.views
    (term,) = view.terms
    assert isinstance(term, RenderedRoiTerm)
    assert term.config == config
    (seen,) = regions.project(states)
    assert seen.image.numel() == 0
    torch.testing.assert_close(regions.loss(states), term.loss(seen))
    assert float(regions.loss(states)[1]) < 0.2 * float(regions.loss(states)[0])
    none = dataclasses.replace(pair_level, views=pair_level.views[1:])
    assert none.with_rois_alone(config) is None


@pytest.fixture(name="tied", scope="module", params=[1, 2])
def _tied(request: pytest.FixtureRequest, pair: Problem, pair_level: Level) -> Level:
    """One view or two, without regions, of bodies that hold on to each other tightly."""
    views = tuple(view.with_terms(view.terms[0]) for view in pair_level.views[-request.param :])
    ties = Ties(
        ties=(None, Tie(rotation_rad=0.02, shift_mm=1.0)),
        pivots_mm=torch.stack([body.pivot_mm for body in pair.bodies]),
        residuals=60.0,
    )
    return dataclasses.replace(pair_level, views=views, ties=ties, backend="reference")


def test_with_ties_the_gradient_is_that_of_central_differences(tied: Level, states: Tensor) -> None:
    """The ties are no small part of it."""
    here = states[:1].clone()
    here[0, 1] = perturb(
        here[0, 1], torch.tensor([0.02, -0.03, 0.01, 1.0, 0.5, -2.0], dtype=torch.float64),
        tied.bodies[1].pivot_mm,
    )  # fmt: skip
    model = tied.linearize(here)
    with torch.no_grad():
        torch.testing.assert_close(tied.loss(here).double(), model.value, rtol=1e-4, atol=0)
        steps = 0.02 * torch.diag(SCALE)
        ahead, behind = (
            tied.loss(tied.move(here.expand(12, 2, 4, 4), sign * steps)).double()
            for sign in (1.0, -1.0)
        )
    slopes, gradient = (ahead - behind) / 0.04, model.gradient[0] * SCALE
    torch.testing.assert_close(gradient, slopes, rtol=0.02, atol=0.01 * float(slopes.abs().max()))
    free = dataclasses.replace(tied, ties=None).linearize(here)
    assert float(model.value) > 1.5 * float(free.value)
    of_ties = (model.gradient - free.gradient)[0] * SCALE
    assert float(of_ties.abs().max()) > 0.3 * float(gradient.abs().max())


def test_with_ties_the_loss_is_differentiable(tied: Level, states: Tensor) -> None:
    steps = torch.zeros(2, 12, dtype=torch.float64, requires_grad=True)
    loss = tied.loss(tied.move(states, steps))
    (gradient,) = torch.autograd.grad(loss.sum(), steps)
    model = tied.linearize(states)
    torch.testing.assert_close(model.value, loss.detach().double(), rtol=1e-4, atol=1e-6)
    apart = (model.gradient - gradient) * SCALE
    assert float(apart.abs().max()) < 1e-3 * float((gradient * SCALE).abs().max())


def test_ties_pull_at_what_is_apart_and_not_at_all_bodies(tied: Level, states: Tensor) -> None:
    """Where the bodies are as in the CT, ties add curvature and no force."""
    one = states[:1, :1].expand(1, 2, 4, 4)
    with_ties, free = tied.linearize(one), dataclasses.replace(tied, ties=None).linearize(one)
    torch.testing.assert_close(with_ties.value, free.value)
    torch.testing.assert_close(with_ties.gradient, free.gradient)
    added = (with_ties.normal_matrix - free.normal_matrix)[0]
    assert bool((torch.linalg.eigvalsh(added) > -1e-9 * added.abs().max()).all())
    assert bool((added.diagonal() > 0).all())


def test_a_level_has_a_model_if_every_term_of_every_view_has_one(pair_level: Level) -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Darkness:
        reads_image: ClassVar[bool] = True

        def loss(self, projection: Projection) -> Tensor:
            return projection.image.mean(dim=(-2, -1))

    assert pair_level.least_squares
    first, second = pair_level.views
    dark = second.with_terms(*second.terms, Darkness())
    assert not dataclasses.replace(pair_level, views=(first, dark)).least_squares
