"""How sharp a minimum an answer is."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from wsreg.registration.level import Level
from wsreg.registration.states import moved_together
from wsreg.registration.verdict.steepness import middle, steepness


def one_view(level: Level) -> Level:
    """The first view without its regions, so that its loss is that of the image alone."""
    view = level.views[0]
    view = dataclasses.replace(view, terms=view.terms[:1], roi_grid=None)
    return dataclasses.replace(level, views=(view,))


def test_it_is_the_smallest_of_twelve_rises(pair_level: Level, true_state: Tensor) -> None:
    """One by one, by the level's own loss."""
    level = one_view(pair_level)
    with torch.no_grad():
        here = float(level.loss(true_state[None])[0])
    rises = []
    for axis, size in enumerate((math.radians(2), math.radians(2), math.radians(2), 3, 3, 15)):
        for sign in (1.0, -1.0):
            step = torch.zeros((1, 6), dtype=torch.float64)
            step[0, axis] = sign * size
            beside = moved_together(true_state, step, level.bodies[0].pivot_mm)
            with torch.no_grad():
                rises.append(float(level.loss(beside)[0]) - here)
    assert steepness(level, true_state) == pytest.approx(min(rises), rel=1e-3)
    assert min(rises) > 0.0


def test_regions_have_no_part_in_it(pair_level: Level, true_state: Tensor) -> None:
    with_regions = dataclasses.replace(pair_level, views=pair_level.views[:1])
    assert steepness(with_regions, true_state) == steepness(one_view(pair_level), true_state)


def test_beside_the_truth_something_fits_better(pair_level: Level, true_state: Tensor) -> None:
    step = torch.tensor([[0.0, 0.0, 0.0, 3.0, 0.0, 0.0]], dtype=torch.float64)
    (beside,) = moved_together(true_state, step, pair_level.bodies[0].pivot_mm)
    assert steepness(pair_level, beside) < 0.0 < steepness(pair_level, true_state)


def test_several_views_have_the_mean(pair_level: Level, true_state: Tensor) -> None:
    level = one_view(pair_level)
    twice = dataclasses.replace(level, views=level.views * 2)
    assert steepness(twice, true_state) == pytest.approx(steepness(level, true_state), rel=1e-5)


def test_where_the_bodies_are_one_the_first_stands_for_all(
    pair_level: Level, true_state: Tensor
) -> None:
    level = dataclasses.replace(one_view(pair_level), bodies=pair_level.bodies[:1])
    assert steepness(level, true_state) == steepness(level, true_state[:1])


def test_what_cannot_be_compared_is_not_steep(pair_level: Level, true_state: Tensor) -> None:
    class Broken:
        def loss(self, moving: Tensor) -> Tensor:
            return torch.full((len(moving),), torch.nan)

        similarity = loss

    broken = dataclasses.replace(one_view(pair_level).views[0], measure=Broken())
    assert math.isnan(steepness(dataclasses.replace(pair_level, views=(broken,)), true_state))


def test_the_middle_level_is_the_one_before_the_finest(pair_level: Level) -> None:
    finest = dataclasses.replace(pair_level)
    assert middle([pair_level, finest]) is pair_level
    assert middle([finest]) is finest
