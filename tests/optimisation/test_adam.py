"""The paper's loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.geometry.rigid import perturb
from wsreg.optimisation.adam import AdamConfig, minimise_adam
from wsreg.optimisation.observed import Observed

START = torch.eye(4, dtype=torch.float64)
RATES = torch.tensor([7.5e-3] * 3 + [7.5] * 3, dtype=torch.float64)


def move(pose: Tensor, step: Tensor) -> Tensor:
    return perturb(pose, step, torch.zeros(3, dtype=torch.float64))


def test_the_papers_number_of_steps_is_the_default() -> None:
    assert AdamConfig().steps == 250


def test_it_approaches_the_minimum() -> None:
    target = torch.tensor([10.0, -20.0, 5.0], dtype=torch.float64)
    found = minimise_adam(
        lambda pose: (pose[:3, 3] - target).square().sum(), move, START, RATES, AdamConfig()
    )
    torch.testing.assert_close(found.state[:3, 3], target, atol=0.1, rtol=0)
    assert found.start_value == pytest.approx(525.0)
    assert found.iterations == 250


def test_each_parameter_has_its_own_rate() -> None:
    """Adam's first step is the rate itself, against the sign of the gradient."""
    rates = torch.tensor([0.5, 0.02, 3.0], dtype=torch.float64)
    start = torch.tensor([1.0, -2.0, 10.0], dtype=torch.float64)
    found = minimise_adam(
        lambda vector: vector.square().sum(), torch.add, start, rates, AdamConfig(steps=1)
    )
    assert found.state.tolist() == pytest.approx([0.5, -1.98, 7.0], abs=1e-6)


def test_the_rates_fall() -> None:
    """On a slope every step is as long as its rate: ten of 1, ten of a half, ten of a quarter."""
    config = AdamConfig(steps=30, decay=0.5, decay_every=10)
    start, rates = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    found = minimise_adam(lambda vector: vector.sum(), torch.add, start, rates, config)
    assert float(found.state) == pytest.approx(-17.5, abs=1e-5)


def test_the_best_iterate_is_kept_not_the_last() -> None:
    calls = []

    def loss(pose: Tensor) -> Tensor:
        calls.append(pose.detach().clone())
        worsening = 1.0 if len(calls) == 3 else 10.0 + len(calls)
        return worsening + 0.0 * pose.sum()

    found = minimise_adam(loss, move, START, RATES, AdamConfig(steps=8))
    assert found.value == 1.0
    assert torch.equal(found.state, calls[2])


def test_it_stops_where_the_loss_is_not_finite() -> None:
    found = minimise_adam(
        lambda pose: pose[0, 3] * torch.nan, move, START, RATES, AdamConfig(steps=8)
    )
    assert torch.equal(found.state, START)
    assert found.iterations == 0


def test_progress_counts_the_steps() -> None:
    seen: list[tuple[int, int]] = []
    start, rates = torch.ones(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    minimise_adam(
        lambda vector: vector.square().sum(), torch.add, start, rates, AdamConfig(steps=3),
        lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_an_observer_sees_every_state_and_which_are_the_best_so_far() -> None:
    """At a rate of 1 from -1.5 Adam goes over the minimum at 0 and turns round."""
    seen: list[Observed] = []
    start = torch.tensor([-1.5], dtype=torch.float64)
    found = minimise_adam(
        lambda vector: vector.square().sum(), torch.add, start,
        torch.ones(1, dtype=torch.float64), AdamConfig(steps=4), observe=seen.append,
    )  # fmt: skip
    assert len(seen) == 5
    assert torch.equal(seen[0].states[0], start)
    assert float(seen[0].values) == pytest.approx(2.25)
    assert [bool(step.tried) for step in seen] == [False, True, True, True, True]
    lowest = min(seen, key=lambda step: float(step.values))
    assert torch.equal(lowest.states[0], found.state)
    best = float("inf")
    for step in seen:
        assert bool(step.accepted) == (float(step.values) < best)
        best = min(best, float(step.values))
        assert bool(step.damping.isnan().all())
    assert not all(bool(step.accepted) for step in seen)


def test_a_loss_without_a_direction_leaves_the_start() -> None:
    """The root of 0 has a slope that is not finite, as correlation with an even image has."""
    found = minimise_adam(
        lambda pose: (0.0 * pose[:3, 3]).square().sum().sqrt(), move, START, RATES, AdamConfig()
    )
    assert torch.equal(found.state, START)
    assert (found.value, found.iterations) == (0.0, 0)
