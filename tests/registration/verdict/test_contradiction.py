"""What each view would rather have: nothing where all is right, the nudge where one is wrong."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from wsreg.geometry.rigid import exp_so3, perturb
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.ties import PIXELS_PER_RESIDUAL, Tie, Ties
from wsreg.registration.verdict.bodies import body_points
from wsreg.registration.verdict.contradiction import (
    MoveAlone,
    _across_mm,
    alone,
    moves_alone,
)
from wsreg.registration.views import LevelView

LONGEST = torch.tensor([0.12, 0.12, 0.12, 25.0, 25.0, 60.0], dtype=torch.float64)
POINTS_MM = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 100.0]], dtype=torch.float64)


def step(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(name="levels", scope="module")
def _levels(pair: Problem) -> list[Level]:
    """Without regions: the images alone."""
    views = tuple(dataclasses.replace(view, rois=None) for view in pair.views)
    return make_levels(dataclasses.replace(pair, views=views))


def shifted(view: LevelView, *shift_mm: float) -> LevelView:
    pose = view.camera_from_rig.clone()
    pose[:3, 3] += step(*shift_mm)
    return dataclasses.replace(view, camera_from_rig=pose)


def test_moves_across_an_image_known_by_hand(levels: list[Level]) -> None:
    first = levels[0].views[0]
    view = dataclasses.replace(first, camera_from_rig=torch.eye(4, dtype=torch.float64))
    pose = torch.eye(4, dtype=torch.float64)
    pose[2, 3] = 500.0
    across, along, turned = pose.clone(), pose.clone(), pose.clone()
    across[:2, 3] = step(3.0, -4.0)
    assert _across_mm(view, pose, across, POINTS_MM) == pytest.approx(5.0)
    along[2, 3] += 40.0  # along the rays of points on the axis nothing moves
    assert _across_mm(view, pose, along, POINTS_MM) == pytest.approx(0.0)
    # A quarter about y brings the second point, 100 mm behind, beside the first at 500 mm:
    # 100/500 of its depth of 600.
    turned[:3, :3] = exp_so3(step(0.0, math.pi / 2, 0.0))
    assert _across_mm(view, pose, turned, POINTS_MM) == pytest.approx(0.5 * 120.0)
    # By the axes of the view, wherever the rig has its own.
    side = dataclasses.replace(first, camera_from_rig=along @ turned)
    there = torch.linalg.inv(along @ turned)
    assert _across_mm(side, there @ pose, there @ across, POINTS_MM) == pytest.approx(5.0)


def test_what_lies_behind_the_source_has_no_image(levels: list[Level]) -> None:
    view = dataclasses.replace(
        levels[0].views[0], camera_from_rig=torch.eye(4, dtype=torch.float64)
    )
    pose, behind = torch.eye(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    pose[2, 3], behind[2, 3] = 500.0, -50.0
    assert math.isnan(_across_mm(view, pose, behind, POINTS_MM))
    assert math.isnan(_across_mm(view, behind, pose, POINTS_MM))


def distances(
    levels: list[Level], state: Tensor, longest: Tensor, points_mm: Tensor
) -> list[float]:
    return [move.distance_mm for move in moves_alone(levels, state, longest, points_mm)]


def test_noise_counts_for_two_deviations() -> None:
    assert MoveAlone(distance_mm=1.5, deviation_mm=0.4).beyond_noise_mm() == pytest.approx(0.7)


def test_a_view_of_few_pixels_knows_less(
    pair: Problem, levels: list[Level], true_state: Tensor
) -> None:
    (level,) = levels
    mask = torch.zeros_like(level.views[1].mask)
    mask[8:20, 8:20] = True
    narrow = dataclasses.replace(level.views[1], mask=mask)
    beside = torch.stack(
        [
            perturb(pose, step(0.0, 0.0, 0.0, 1.0, 0.0, 0.0), pair.bodies[0].pivot_mm)
            for pose in true_state
        ]
    )
    few, many = (
        moves_alone(
            [dataclasses.replace(level, views=(view,))], beside, 0.0 * LONGEST + 1e-9, POINTS_MM
        )
        for view in (narrow, level.views[1])
    )
    assert few[0].deviation_mm > 1.5 * many[0].deviation_mm


def test_ties_weigh_against_the_pixels_of_the_view(levels: list[Level]) -> None:
    ties = Ties(
        ties=(None, Tie(rotation_rad=0.1, shift_mm=1.0)), pivots_mm=torch.zeros(2, 3), residuals=1e4
    )
    one = alone(dataclasses.replace(levels[0], ties=ties), 0)
    assert one.ties is not None
    assert one.ties.residuals == pytest.approx(28 * 32 / PIXELS_PER_RESIDUAL)


def test_one_view_of_a_level(levels: list[Level]) -> None:
    one = alone(levels[0], 1)
    assert one.views == (levels[0].views[1],)
    assert one.bodies is levels[0].bodies


def test_views_of_one_pose_stay(pair: Problem, levels: list[Level], true_state: Tensor) -> None:
    points, _ = body_points(pair, pair.bodies[0])
    moves = distances(levels, true_state, LONGEST, points)
    assert len(moves) == 2
    assert max(moves) < 0.3


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_camera_that_stands_elsewhere_moves_the_body_back(
    pair: Problem, levels: list[Level], true_state: Tensor, wrong: int
) -> None:
    """8 mm across the image of the one, nothing in the other; on both of two levels."""
    (level,) = levels
    views = list(level.views)
    views[wrong] = shifted(views[wrong], 0.0, 8.0, 0.0)
    nudged = dataclasses.replace(level, views=tuple(views))
    points, _ = body_points(pair, pair.bodies[0])
    for chosen in ([nudged], [nudged, nudged]):
        moves = distances(chosen, true_state, LONGEST, points)
        assert moves[wrong] == pytest.approx(8.0, abs=0.5)
        assert moves[1 - wrong] < 0.3


def test_the_last_two_levels_decide(pair: Problem, levels: list[Level], true_state: Tensor) -> None:
    (level,) = levels
    nudged = dataclasses.replace(
        level, views=(shifted(level.views[0], 0.0, 8.0, 0.0), level.views[1])
    )
    nothing = dataclasses.replace(level, views=())
    points, _ = body_points(pair, pair.bodies[0])
    right = distances([nothing, nudged, level], true_state, LONGEST, points)
    assert max(right) < 0.5
    wrong = distances([nothing, level, nudged], true_state, LONGEST, points)
    assert wrong[0] == pytest.approx(8.0, abs=0.5)


def test_the_answer_is_left_as_it_is(
    pair: Problem, levels: list[Level], true_state: Tensor
) -> None:
    beside = torch.stack(
        [
            perturb(pose, step(0.0, 0.0, 0.0, 2.0, 0.0, 0.0), body.pivot_mm)
            for pose, body in zip(true_state, pair.bodies, strict=True)
        ]
    )
    before = beside.clone()
    moves = distances(levels, beside, LONGEST, POINTS_MM)
    assert torch.equal(beside, before)
    assert moves[0] == pytest.approx(2.0, abs=0.4)
