"""The order of attempts, told from frames that are lost or not, without any image."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import pytest
import torch
from torch import Tensor

from wsreg.geometry.rigid import exp_se3
from wsreg.registration.result import Verdict
from wsreg.registration.sequence.passes import is_lost, starts_at, tried
from wsreg.registration.sequence.step import Step, Way, best_of


def state(*twist: float) -> Tensor:
    """[1,4,4] of a twist."""
    return exp_se3(torch.tensor([twist], dtype=torch.float64))


def made(frame: int, way: Way, *, lost: bool, empty: bool = False) -> Step:
    verdict = Verdict(status="fail" if lost else "pass", reasons=("So it is.",))
    return Step(
        frame=frame,
        way="none" if empty else way,
        verdicts=(verdict,),
        state=None if empty else state(0, 0, 0, frame, 0, 0),
        lost=lost,
    )


class Film:
    """Frames of which each is found by some ways only; it notes every attempt."""

    def __init__(self, **found_by: Collection[str]) -> None:
        self.found_by = {int(name.removeprefix("frame")): ways for name, ways in found_by.items()}
        self.attempts: list[tuple[int, str, list[int]]] = []

    def __call__(self, number: int, way: Way, found: Sequence[Step]) -> Step:
        self.attempts.append((number, way, [step.frame for step in found]))
        ways = self.found_by.get(number, ("start", "tracked", "search", "backwards"))
        return made(number, way, lost=way not in ways, empty=ways == "blank")


def test_each_frame_begins_at_the_two_before_it() -> None:
    film = Film()
    steps = tried(4, film)
    assert film.attempts == [
        (0, "start", []), (1, "tracked", [0]), (2, "tracked", [1, 0]), (3, "tracked", [2, 1]),
    ]  # fmt: skip
    assert not any(is_lost(here) for here in steps)


def test_a_single_lost_frame_is_left_and_then_taken_from_behind() -> None:
    film = Film(frame2=("backwards",))
    steps = tried(5, film)
    assert film.attempts == [
        (0, "start", []), (1, "tracked", [0]), (2, "tracked", [1, 0]),
        (3, "tracked", [1, 0]), (4, "tracked", [3, 1]), (2, "backwards", [3, 4]),
    ]  # fmt: skip
    assert best_of(steps[2]).way == "backwards"


def test_two_lost_frames_are_searched_and_followed_from_there() -> None:
    film = Film(frame1=(), frame2=("search",))
    steps = tried(4, film)
    assert film.attempts == [
        (0, "start", []), (1, "tracked", [0]), (2, "tracked", [0]), (2, "search", [0]),
        (3, "tracked", [2]), (1, "backwards", [2, 3]), (1, "search", [0]),
    ]  # fmt: skip
    assert [is_lost(here) for here in steps] == [False, True, False, False]


def test_a_blank_frame_is_tried_once_and_begins_no_search() -> None:
    film = Film(frame1="blank", frame2="blank")
    tried(4, film)
    assert [(number, way) for number, way, _ in film.attempts] == [
        (0, "start"), (1, "tracked"), (2, "tracked"), (3, "tracked"),
    ]  # fmt: skip


def test_a_first_frame_that_is_lost_is_taken_from_behind() -> None:
    film = Film(frame0=("backwards",), frame1="blank")
    steps = tried(3, film)
    assert film.attempts == [
        (0, "start", []), (1, "start", []), (2, "start", []), (0, "backwards", [2]),
    ]  # fmt: skip
    assert [is_lost(here) for here in steps] == [False, True, False]


def test_a_film_that_has_jumped_begins_anew() -> None:
    film = Film(**{f"frame{n}": ("start",) for n in range(1, 6)}, frame6=("tracked",))
    steps = tried(7, film)
    assert (5, "start", [0]) in film.attempts
    assert (6, "tracked", [5]) in film.attempts
    assert [is_lost(here) for here in steps] == [False, True, True, True, True, False, False]


def test_nothing_is_found_in_a_film_of_nothing() -> None:
    film = Film(frame0=(), frame1=())
    assert all(is_lost(here) for here in tried(2, film))
    assert [way for _, way, _ in film.attempts] == ["start", "start"]


def test_the_best_attempt_is_found_or_most_probably_right() -> None:
    def one(rightness: float, *, lost: bool) -> Step:
        return Step(frame=0, way="search", verdicts=(), rightness=rightness, lost=lost)

    steps = [one(0.3, lost=True), one(0.7, lost=True), one(0.1, lost=True)]
    assert best_of(steps) is steps[1]
    assert best_of([*steps, found := one(0.2, lost=False)]) is found


def test_starts_are_the_last_answer_and_where_it_was_going() -> None:
    turn = math.radians(3.0)
    found = [
        Step(frame=5, way="tracked", verdicts=(), state=state(0, turn, 0, 2.0, 0, 0)),
        Step(frame=3, way="tracked", verdicts=(), state=state(0, 0, 0, 0, 0, 0)),
    ]
    last, on = starts_at(6, found)
    torch.testing.assert_close(last, found[0].state)
    # half of what it did in two frames, once more
    torch.testing.assert_close(on, state(0, 1.5 * turn, 0, 3.0, 0, 0))
    torch.testing.assert_close(starts_at(4, found)[1], state(0, 0.5 * turn, 0, 1.0, 0, 0))
    assert len(starts_at(6, found[:1])) == 1
    assert len(starts_at(12, found)) == 1, "too long ago to tell where it was going"


@pytest.mark.parametrize("loss", [0.25, math.nan])
def test_a_step_comes_back_from_its_record(loss: float) -> None:
    import json

    step = Step(
        frame=7, way="backwards", name="cine-7", lost=False, rightness=0.98, loss=loss,
        state=state(0.1, 0.2, 0.3, 1 / 3, 5.0, 700.0), orientation="half turn",
        verdicts=(Verdict(status="check", reasons=("One.", "Two.")),),
    )  # fmt: skip
    back = Step.from_record(json.loads(json.dumps(step.to_record(), allow_nan=False)))
    assert back.to_record() == step.to_record()
    assert back.state is not None
    assert step.state is not None
    assert torch.equal(back.state, step.state)
    with pytest.raises((LookupError, TypeError, ValueError)):
        Step.from_record({**step.to_record(), "way": "guessed"})
