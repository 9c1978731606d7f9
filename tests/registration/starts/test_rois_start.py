"""Regions alone bring poses near."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wsreg.registration.bodies import Body
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.starts.rois import brought_near
from wsreg.registration.states import mean_distance_mm, moved_together


def test_without_rendered_regions_there_is_nothing_to_come_near(
    pair: Problem, pair_level: Level
) -> None:
    states = pair.start[None]
    none = dataclasses.replace(pair_level, views=pair_level.views[1:])
    assert brought_near(pair, none, states) is None


def test_far_states_come_near_the_best_first(pair: Problem, true_state: Tensor) -> None:
    """The whole CT as one body, so that it does not matter what one outline hides of a bone."""
    whole = Body(name="ct", pivot_mm=pair.bodies[0].pivot_mm)
    problem = dataclasses.replace(
        pair, bodies=(whole,), views=pair.views[:1], start=pair.start[:1]
    )  # fmt: skip
    (level,) = make_levels(problem)
    steps = torch.tensor(
        [
            [0.0, 0.0, 0.0, 400.0, 0.0, 0.0],  # lost: nothing of it is in view
            [0.05, 0.0, 0.1, -60.0, 40.0, 10.0],
            [0.0, 0.1, 0.0, 50.0, 30.0, -10.0],
        ],
        dtype=torch.float64,
    )
    states = moved_together(true_state[:1], steps, whole.pivot_mm)
    near = brought_near(problem, level, states)
    assert near is not None
    points = pair.volume.corners_mm
    before, after = (
        [mean_distance_mm(one, true_state[:1], points) for one in some] for some in (states, near)
    )
    assert min(before) > 50.0
    assert max(after[:2]) < 0.3 * min(before)
    assert after[2] > 300.0
    regions = level.with_rois_alone(problem.settings.roi_approach)
    assert regions is not None
    with torch.no_grad():
        losses = regions.loss(near)
        assert bool((losses.diff() >= 0).all())
        assert float(losses[1]) < 0.1 * float(losses[2])
