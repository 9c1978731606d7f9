from __future__ import annotations

import pytest
from tests.jobs.chores import add, stumble

from wsreg.jobs.progress import Progress, duration, seconds_left
from wsreg.jobs.task import Task


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59.5, "60 s"),
        (119.0, "2 min"),
        (3600.0, "60 min"),
        (12000.0, "3 h 20 min"),
        (72000.0, "20 h"),
        (1.08e6, "300 h (12 days)"),
    ],
)
def test_durations_as_a_person_says_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_progress_in_words() -> None:
    begun = Progress(done=1, total=3, seconds_left=600.0, last="one")
    assert begun.text == "1 of 3 tasks done, about 10 min left (one)"
    assert Progress(done=3, total=3, seconds_left=0.0).text == "3 of 3 tasks done"


def tasks(*seconds: float) -> list[Task]:
    return [Task(name=f"t{n}", function=add, seconds=s) for n, s in enumerate(seconds)]


def test_before_anything_is_done_tasks_take_what_they_say() -> None:
    assert seconds_left(tasks(10.0, 20.0, 30.0, 20.0), {}, (), 2) == 40.0
    assert seconds_left(tasks(10.0, 60.0), {}, (), 2) == 60.0  # the longest one alone


def test_a_chain_cannot_be_shared_out() -> None:
    first, second = tasks(10.0, 10.0)
    second = Task(name="t1", function=add, seconds=10.0, needs=("t0",))
    assert seconds_left([first, second], {}, (), 2) == 20.0


def test_those_that_are_done_correct_the_others_of_their_kind() -> None:
    other = Task(name="other", function=stumble, seconds=7.0)
    left = seconds_left([*tasks(10.0, 20.0), other], {"t0": 30.0}, ("t0",), 1)
    assert left == 3.0 * 20.0 + 3.0 * 7.0
    left = seconds_left([*tasks(10.0, 20.0), other], {"t0": 30.0, "other": 7.0}, ("t0", "other"), 1)
    assert left == 3.0 * 20.0


def test_groups_of_one_function_are_told_apart() -> None:
    slow, slow_too = (Task(name=n, function=add, seconds=10.0, group="slow") for n in ("a", "b"))
    quick = Task(name="c", function=add, seconds=10.0, group="quick")
    assert seconds_left([slow, slow_too, quick], {"a": 50.0}, ("a",), 1) == 100.0
    taken = {"a": 50.0, "c": 5.0}
    assert seconds_left([slow, slow_too, quick], taken, ("a", "c"), 1) == 50.0


def test_short_tasks_say_little_of_long_ones() -> None:
    long, short = (
        Task(name=n, function=f, seconds=s)
        for n, f, s in (("long", add, 1000.0), ("short", stumble, 1.0))
    )
    rest = Task(name="rest", function=add, seconds=500.0, group="rest")
    taken = {"long": 1000.0, "short": 100.0}
    assert seconds_left([long, short, rest], taken, tuple(taken), 1) == pytest.approx(
        500.0 * 1100.0 / 1001.0
    )
