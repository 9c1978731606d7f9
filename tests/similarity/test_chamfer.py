"""Distances of regions: known values, caps, derivatives against central differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.similarity.chamfer import (
    FARTHEST,
    LEAST_MASS,
    distance_maps,
    linearize_each_distance,
    mean_distances,
)

HEIGHT, WIDTH = 20, 40
ALL = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)


def column(*at: int) -> Tensor:
    mask = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.float64)
    mask[:, :, list(at)] = 1.0
    return mask


def test_distances_are_fractions_of_the_longer_side_with_a_cap() -> None:
    maps = distance_maps(column(10))[0]
    assert maps[3, [10, 11, 14, 0]].tolist() == pytest.approx([0.0, 1 / 40, 4 / 40, 10 / 40])
    assert float(maps[0, 39]) == FARTHEST
    assert bool((distance_maps(0.4 * column(10)) == FARTHEST).all())  # not a mask


def test_mass_in_the_mask_is_near_and_mass_beside_it_is_its_distance_away() -> None:
    target = column(10, 11)
    maps = distance_maps(target)

    def distance(moving: Tensor) -> float:
        return float(mean_distances(target, maps, moving, ALL)[0])

    # The least mass, at the cap, is a small part of the mean.
    least = LEAST_MASS * 40
    assert distance(column(10)) == pytest.approx(FARTHEST * least / (20 + least))
    expected = (20 * 5 / 40 + FARTHEST * least) / (20 + least)
    assert distance(column(16)) == pytest.approx(expected)
    assert distance(0 * target) == pytest.approx(FARTHEST)


def test_masked_mass_does_not_count() -> None:
    target = column(10)
    valid = ALL.clone()
    valid[:, 20:] = False
    both = column(12, 30)
    maps = distance_maps(target)
    assert float(mean_distances(target, maps, both, valid)) == pytest.approx(
        float(mean_distances(target, maps, column(12), valid))
    )


def test_derivatives_are_those_of_central_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.cat((column(5), column(8, 9)))
    maps = distance_maps(target)
    moving = torch.rand(3, 2, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)
    jacobian = torch.rand(3, 2, HEIGHT, WIDTH, 6, generator=generator, dtype=torch.float64) - 0.4
    mask = torch.rand(2, HEIGHT, WIDTH, generator=generator) > 0.2
    here = linearize_each_distance(target, maps, moving, jacobian, mask)
    mean = mean_distances(target, maps, moving, mask)
    torch.testing.assert_close(here.value, 0.5 * mean.square())
    slopes = []
    for step in 1e-6 * torch.eye(6, dtype=torch.float64):
        ahead, behind = (
            mean_distances(target, maps, moving + sign * jacobian @ step, mask)
            for sign in (1.0, -1.0)
        )
        slopes.append((ahead - behind) / 2e-6)
    slope = torch.stack(slopes, dim=-1)
    torch.testing.assert_close(here.gradient, mean[..., None] * slope, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(
        here.normal_matrix, slope[..., :, None] * slope[..., None, :], rtol=1e-5, atol=1e-9
    )
