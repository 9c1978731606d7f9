"""A given start, and what is tried beside it."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wsreg.geometry.rigid import twist_between
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.starts.given import PROBE_REACH, by_angles, given


def without_regions(level: Level) -> Level:
    return dataclasses.replace(level, views=level.views[1:])


def steps_from(state: Tensor, others: Tensor, pivot_mm: Tensor) -> Tensor:
    return twist_between(state[0].expand(len(others), 4, 4), others[:, 0], pivot_mm)


def test_probes_lie_beside_the_start_which_is_first(pair: Problem, pair_level: Level) -> None:
    starts = given(pair, without_regions(pair_level))
    assert starts.shape == (1 + pair.settings.probes, 2, 4, 4)
    torch.testing.assert_close(starts[0], pair.start)
    steps = steps_from(pair.start, starts[1:], pair.bodies[0].pivot_mm)
    assert bool((steps.abs() <= 1.8 * PROBE_REACH.vector(1)).all())
    assert bool((steps.abs().amax(dim=1) > 0.5).all())


def test_the_number_of_probes_and_the_seed_are_settings(pair: Problem, pair_level: Level) -> None:
    def starts(**changes: int) -> Tensor:
        settings = dataclasses.replace(pair.settings, **changes)  # type: ignore[arg-type]
        return given(dataclasses.replace(pair, settings=settings), without_regions(pair_level))

    assert len(starts(probes=0)) == 1
    assert len(starts(probes=5)) == 6
    assert torch.equal(starts(seed=3), starts(seed=3))
    assert not torch.equal(starts(seed=3), starts(seed=4))


def test_with_regions_the_start_stays_and_the_probes_lie_where_regions_lead(
    pair: Problem, pair_level: Level, true_state: Tensor
) -> None:
    starts = given(pair, pair_level)
    assert len(starts) == 2 + pair.settings.probes
    assert torch.equal(starts[0], pair.start)
    points = pair.volume.corners_mm

    def far(state: Tensor) -> float:
        moved = points @ (state - true_state)[0, :3, :3].T + (state - true_state)[0, :3, 3]
        return float(moved.norm(dim=-1).mean())

    assert far(starts[1]) < 0.5 * far(starts[0])
    steps = steps_from(starts[1], starts[2:], pair.bodies[0].pivot_mm)
    assert bool((steps.abs() <= 1.8 * PROBE_REACH.vector(1)).all())


def test_a_view_by_angles_is_also_tried_upside_down(pair: Problem, pair_level: Level) -> None:
    """After its probes; columns and rows then run the other way, and rays as before."""
    upside_down = pair.start.clone()
    upside_down[:, :2] *= -1.0
    for level in (without_regions(pair_level), pair_level):
        starts, as_given = by_angles(pair, level), given(pair, level)
        assert torch.equal(starts[:-1], as_given)
        torch.testing.assert_close(starts[-1], upside_down)
