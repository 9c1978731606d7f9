"""States: moved together, spread, and told apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsreg.geometry.rigid import inverse_rigid, perturb, twist_between
from wsreg.registration.states import (
    distinct,
    mean_distance_mm,
    moved_together,
    spread_around,
    with_bodies,
)

PIVOT = torch.tensor([5.0, 6.0, 7.0], dtype=torch.float64)
HALF_RANGE = torch.tensor([0.3, 0.3, 0.3, 60.0, 60.0, 100.0], dtype=torch.float64)


def two_bodies() -> Tensor:
    first = torch.eye(4, dtype=torch.float64)
    first[2, 3] = 700.0
    second = perturb(
        first, torch.tensor([0.3, -0.2, 0.1, 10.0, 20.0, -5.0], dtype=torch.float64), PIVOT
    )
    return torch.stack((first, second))


def shifted(*along_x_mm: float) -> Tensor:
    """[N,1,4,4] states of one body."""
    states = torch.eye(4, dtype=torch.float64).repeat(len(along_x_mm), 1, 1, 1)
    states[:, 0, 0, 3] = torch.tensor(along_x_mm, dtype=torch.float64)
    return states


def test_bodies_that_move_together_keep_their_relative_pose() -> None:
    state = two_bodies()
    steps = torch.tensor(
        [[0.0] * 6, [0.4, 0.1, -0.3, 20.0, -30.0, 60.0], [0.0, 0.0, 0.0, 5.0, 0.0, 0.0]],
        dtype=torch.float64,
    )
    moved = moved_together(state, steps, PIVOT)
    assert moved.shape == (3, 2, 4, 4)
    relative = inverse_rigid(moved[:, 0]) @ moved[:, 1]
    expected = inverse_rigid(state[0]) @ state[1]
    torch.testing.assert_close(relative, expected.expand(3, 4, 4))
    # The first body moves by the step, about its own pivot.
    torch.testing.assert_close(moved[:, 0], perturb(state[0].expand(3, 4, 4), steps, PIVOT))
    torch.testing.assert_close(moved[0], state)
    torch.testing.assert_close(moved[2, 1, :3, 3] - state[1, :3, 3], steps[2, 3:])


def test_states_fill_the_box_around_the_first() -> None:
    state = two_bodies()
    spread = spread_around(state, PIVOT, HALF_RANGE, 256, seed=0)
    assert spread.shape == (256, 2, 4, 4)
    torch.testing.assert_close(spread[0], state)
    steps = twist_between(state[0].expand(256, 4, 4), spread[:, 0], PIVOT)
    assert float(steps[:, :3].norm(dim=1).max()) <= 0.3 * math.sqrt(3) + 1e-9
    assert bool((steps[:, :3].abs().amax(dim=0) > 0.27).all())
    furthest = steps[:, 3:].abs().amax(dim=0)
    assert bool((furthest <= HALF_RANGE[3:] + 1e-9).all())
    assert bool((furthest >= 0.95 * HALF_RANGE[3:]).all())
    # Evenly: each half of the box has its half.
    assert bool(((steps > 0).double().mean(dim=0) - 0.5).abs().max() < 0.03)


def test_the_seed_decides() -> None:
    first, again, other = (
        spread_around(two_bodies(), PIVOT, HALF_RANGE, 16, seed) for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_distance_is_that_of_the_body_that_differs_most() -> None:
    points = torch.tensor([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]], dtype=torch.float64)
    a = two_bodies()
    b = a.clone()
    assert mean_distance_mm(a, b, points) == 0.0
    b[0, 0, 3] += 3.0
    b[1, 1, 3] -= 8.0
    assert abs(mean_distance_mm(a, b, points) - 8.0) < 1e-9
    # Half a turn about the first point leaves it where it is and moves the other by 20 mm.
    turned = shifted(0.0)[0]
    turned[0, 0, 0] = turned[0, 1, 1] = -1.0
    assert abs(mean_distance_mm(shifted(0.0)[0], turned, points) - 10.0) < 1e-9


def test_neighbours_of_a_better_state_are_dropped() -> None:
    states, points = shifted(0.0, 1.0, 10.0, 30.0), torch.zeros(1, 3, dtype=torch.float64)
    assert distinct(states, 3, 5.0, points)[:, 0, 0, 3].tolist() == [0.0, 10.0, 30.0]
    assert distinct(states, 2, 5.0, points)[:, 0, 0, 3].tolist() == [0.0, 10.0]
    # Beside means within the distance, to the millimetre.
    assert distinct(states, 4, 1.0, points)[:, 0, 0, 3].tolist() == [0.0, 10.0, 30.0]
    assert distinct(states, 4, 0.9, points)[:, 0, 0, 3].tolist() == [0.0, 1.0, 10.0, 30.0]


def test_two_states_differ_if_one_body_does() -> None:
    states = two_bodies().repeat(3, 1, 1, 1)
    states[2, 1, 0, 3] += 20.0
    points = torch.zeros(1, 3, dtype=torch.float64)
    assert len(distinct(states, 3, 5.0, points)) == 2


def test_bodies_come_apart_where_the_whole_was_and_come_together_at_the_first() -> None:
    whole = shifted(1.0, 2.0)
    apart = with_bodies(whole, 3)
    assert apart.shape == (2, 3, 4, 4)
    assert torch.equal(apart, whole.expand(2, 3, 4, 4))
    apart[0, 1, 0, 3] = 9.0  # in memory of its own
    assert apart[0, :, 0, 3].tolist() == [1.0, 9.0, 1.0]
    assert whole[0, 0, 0, 3] == 1.0
    assert with_bodies(apart, 3) is apart
    assert torch.equal(with_bodies(apart, 1), whole)
    # Another number of bodies begins anew, at the first.
    assert with_bodies(apart[0], 2)[:, 0, 3].tolist() == [1.0, 1.0]
