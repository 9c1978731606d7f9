"""A search: what is tried, in which order it comes."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wsreg.geometry.rigid import inverse_rigid
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.starts.config import SearchConfig
from wsreg.registration.starts.encoder import encoder
from wsreg.registration.starts.given import by_angles, given
from wsreg.registration.starts.landmarks import landmarks
from wsreg.registration.starts.roi import roi
from wsreg.registration.starts.search import ranked, search
from wsreg.registration.starts.table import STARTS


def without_rois(problem: Problem) -> Problem:
    views = tuple(dataclasses.replace(view, rois=None) for view in problem.views)
    return dataclasses.replace(problem, views=views)


def searching(problem: Problem, seed: int = 0) -> Problem:
    config = SearchConfig(poses=24, refined=5, rotation_deg=10.0, shift_mm=20.0, depth_mm=40.0)
    settings = dataclasses.replace(problem.settings, search=config, seed=seed)
    return dataclasses.replace(problem, settings=settings)


def losses(level: Level, states: Tensor) -> Tensor:
    with torch.no_grad():
        return level.loss(states)


def test_the_best_of_what_is_tried_comes_first(pair: Problem) -> None:
    problem = searching(without_rois(pair))
    (level,) = make_levels(problem)
    found = search(problem, level)
    assert found.shape == (5, 2, 4, 4)
    values = losses(level, found)
    assert bool((values.diff() >= 0).all())
    # The view itself is among what is tried, so nothing worse than it comes first.
    assert float(values[0]) <= float(losses(level, problem.start[None]))
    # All bodies move together.
    relative = inverse_rigid(found[:, 0]) @ found[:, 1]
    expected = inverse_rigid(problem.start[0]) @ problem.start[1]
    torch.testing.assert_close(relative, expected.expand(5, 4, 4))


def test_at_the_truth_nothing_else_is_better(pair: Problem, true_state: Tensor) -> None:
    problem = searching(dataclasses.replace(without_rois(pair), start=true_state))
    (level,) = make_levels(problem)
    torch.testing.assert_close(search(problem, level)[0], true_state)


def all_tried(problem: Problem, level: Level) -> Tensor:
    """Every state that is tried, the best first."""
    search_all = dataclasses.replace(problem.settings.search, refined=1000)
    settings = dataclasses.replace(problem.settings, search=search_all)
    return search(dataclasses.replace(problem, settings=settings), level)


def test_as_many_are_tried_upside_down(pair: Problem) -> None:
    """Each turned about the optical axis by half a turn: columns and rows point the other way."""
    problem = searching(without_rois(pair))
    (level,) = make_levels(problem)
    tried = all_tried(problem, level)
    assert len(tried) == 48
    config = dataclasses.replace(problem.settings.search, half_turned=False)
    upright = dataclasses.replace(
        problem, settings=dataclasses.replace(problem.settings, search=config)
    )
    some = all_tried(upright, level)
    assert len(some) == 24
    turned = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64)) @ some
    expected = torch.cat((some, turned))
    apart = (tried[:, None] - expected[None]).abs().amax(dim=(-1, -2, -3))
    assert float(apart.amin(dim=0).max()) < 1e-9
    assert float(apart.amin(dim=1).max()) < 1e-9


def test_an_image_upside_down_is_found_upside_down(pair: Problem, true_state: Tensor) -> None:
    half = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
    problem = searching(
        dataclasses.replace(without_rois(pair), start=half @ true_state, views=pair.views[:1])
    )
    problem = without_rois(problem)
    (level,) = make_levels(problem)
    torch.testing.assert_close(search(problem, level)[0], true_state)


def test_the_seed_decides(pair: Problem) -> None:
    plain = without_rois(pair)
    (level,) = make_levels(plain)
    first, again, other = (search(searching(plain, seed), level) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_regions_bring_what_is_found_near(pair: Problem, pair_level: Level) -> None:
    near, plain = search(searching(pair), pair_level), searching(without_rois(pair))
    regions = pair_level.with_rois_alone(pair.settings.roi_approach)
    assert regions is not None
    values = losses(regions, near)
    assert bool((values.diff() >= -1e-6).all())
    unaided = search(plain, make_levels(plain)[0])
    assert float(values.max()) < float(losses(regions, unaided).max())


def test_ranks_are_those_of_the_loss_and_nan_is_last(pair_level: Level, pair: Problem) -> None:
    """In batches of two as in one."""

    class Spoilt:
        def loss(self, states: Tensor) -> Tensor:
            values = pair_level.loss(states)
            return torch.where(states[:, 0, 0, 3] > 500.0, torch.nan, values)

    states = pair.start.repeat(5, 1, 1, 1)
    states[:, :, 0, 3] += torch.tensor([30.0, 1000.0, 0.0, 60.0, 10.0], dtype=torch.float64)[
        :, None
    ]
    ordered = ranked(Spoilt(), states)  # type: ignore[arg-type]
    expected = losses(pair_level, states[[0, 2, 3, 4]]).sort().values
    torch.testing.assert_close(losses(pair_level, ordered[:4]), expected)
    assert torch.equal(ordered[4], states[1])
    two_by_two = ranked(Spoilt(), states, batch=2)  # type: ignore[arg-type]
    assert torch.equal(two_by_two, ordered)


def test_the_table_names_every_start() -> None:
    assert dict(STARTS) == {
        "pose": given, "dicom": by_angles, "search": search, "encoder": encoder,
        "roi": roi, "landmarks": landmarks,
    }  # fmt: skip
