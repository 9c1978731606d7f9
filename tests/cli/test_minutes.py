from __future__ import annotations

import math

import pytest

from wsreg.cli.minutes import Deadline, TimeIsUp
from wsreg.errors import InputError


def test_what_is_left_of_the_time_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr("wsreg.cli.minutes.time.monotonic", lambda: clock)
    seen: list[tuple[str, int, int]] = []
    deadline, endless = Deadline(minutes=2.0), Deadline(minutes=math.inf)
    move = deadline.watched(lambda *told: seen.append(told))
    clock = 130.0
    assert deadline.minutes_left == 1.5
    move("rendering", 1, 3)
    clock = 220.0
    assert deadline.minutes_left == 0.0
    with pytest.raises(TimeIsUp):
        move("rendering", 2, 3)
    assert seen == [("rendering", 1, 3), ("rendering", 2, 3)]
    assert endless.minutes_left == math.inf


@pytest.mark.parametrize("minutes", [-1.0, math.nan])
def test_no_time_can_be_negative(minutes: float) -> None:
    with pytest.raises(InputError, match="--minutes must be at least 0, got"):
        Deadline(minutes=minutes)
