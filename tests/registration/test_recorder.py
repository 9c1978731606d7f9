"""The way of one descent among many, found backwards."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.optimisation.observed import Observed
from wsreg.registration.level import Level
from wsreg.registration.recorder import Recorder

COARSE = Level(bodies=(), views=(), backend="reference", number=0)
FINE = Level(bodies=(), views=(), backend="reference", number=1)


def state(*depths_mm: float) -> Tensor:
    """[K,4,4] with these depths."""
    poses = torch.eye(4, dtype=torch.float64).repeat(len(depths_mm), 1, 1)
    poses[:, 2, 3] = torch.tensor(depths_mm, dtype=torch.float64)
    return poses


def observed(
    states: list[Tensor], values: list[float], tried: list[bool], accepted: list[bool]
) -> Observed:
    return Observed(
        states=torch.stack(states),
        values=torch.tensor(values, dtype=torch.float64),
        tried=torch.tensor(tried),
        accepted=torch.tensor(accepted),
        damping=torch.full((len(states),), 0.01 * sum(values), dtype=torch.float64),
    )


def of_two_levels() -> Recorder:
    """Two descents of one body, from 1 to 3 and from 5 to 6; then from 6 both of two bodies."""
    recorder = Recorder()
    tell = recorder.begun(COARSE)
    tell(observed([state(1), state(5)], [9.0, 8.0], [False] * 2, [True] * 2))
    tell(observed([state(2), state(5)], [7.0, 8.0], [True] * 2, [True, False]))
    tell(observed([state(2), state(6)], [7.0, 4.0], [True] * 2, [False, True]))
    tell(observed([state(3), state(6)], [6.0, 4.0], [True, False], [True, False]))
    tell = recorder.begun(FINE)
    tell(observed([state(3, 3), state(6, 6)], [3.0, 2.0], [False] * 2, [True] * 2))
    tell(observed([state(4, 3), state(6, 7)], [2.5, 1.0], [True] * 2, [True] * 2))
    return recorder


def test_a_way_goes_back_over_levels_where_bodies_come_apart() -> None:
    first, second = of_two_levels().way_to(state(6, 7))
    assert (first.level, second.level) == (COARSE, FINE)
    assert first.states[:, :, 2, 3].tolist() == [[5.0], [5.0], [6.0]]
    assert first.values.tolist() == [8.0, 8.0, 4.0]
    assert first.accepted.tolist() == [True, False, True]
    assert second.states[:, :, 2, 3].tolist() == [[6.0, 6.0], [6.0, 7.0]]
    assert second.values.tolist() == [2.0, 1.0]


def test_each_answer_has_its_own_way() -> None:
    first, second = of_two_levels().way_to(state(4, 3))
    assert first.values.tolist() == [9.0, 7.0, 7.0, 6.0]
    assert second.values.tolist() == [3.0, 2.5]


def test_a_state_that_no_descent_ended_at_has_none() -> None:
    assert of_two_levels().way_to(state(99, 99)) == []
    (way,) = of_two_levels().way_to(state(6, 6))  # where the second level began
    assert way.level == COARSE
    assert Recorder().way_to(state(1)) == []


def test_a_way_goes_on_from_probes_to_what_they_were_laid_around() -> None:
    recorder = Recorder()
    recorder.begun(COARSE)(observed([state(5)], [3.0], [False], [True]))
    recorder.spread(state(5), torch.stack((state(5), state(6))))
    for start in (6.0, 5.0, 7.0):
        recorder.begun(FINE)(observed([state(start, start)], [start], [False], [True]))
    assert [way.level for way in recorder.way_to(state(6, 6))] == [COARSE, FINE]
    assert [way.level for way in recorder.way_to(state(5, 5))] == [COARSE, FINE]
    assert [way.level for way in recorder.way_to(state(7, 7))] == [FINE]


def test_a_start_that_was_moved_by_nothing_is_the_same_but_for_rounding() -> None:
    recorder = of_two_levels()
    assert len(recorder.way_to(state(6.0 + 1e-12, 7.0 - 1e-12))) == 2
    assert recorder.way_to(state(6.0, 7.0 + 1e-6)) == []


def test_a_solver_that_goes_past_its_best_state_ends_there() -> None:
    recorder = Recorder()
    tell = recorder.begun(FINE)
    for depth, value, best in ((1.0, 5.0, True), (3.0, 1.0, True), (4.0, 2.0, False)):
        tell(observed([state(depth)], [value], [depth > 1], [best]))
    (way,) = recorder.way_to(state(3))
    assert way.values.tolist() == [5.0, 1.0]


def test_losses_that_are_not_finite_lead_nowhere() -> None:
    recorder = Recorder()
    tell = recorder.begun(FINE)
    nan = float("nan")
    tell(observed([state(1), state(2)], [nan, 3.0], [False] * 2, [False, True]))
    tell(observed([state(1), state(1)], [nan, 2.0], [False, True], [False, True]))
    (way,) = recorder.way_to(state(1))
    assert way.values.tolist() == [3.0, 2.0]
