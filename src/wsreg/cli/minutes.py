"""A time after which a command is to stop with what it has."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from wsreg.errors import InputError

Progress = Callable[[str, int, int], None]


class TimeIsUp(Exception):  # noqa: N818 - it is none
    """The time that a command was given is over."""


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """A time from now on.

    Args:
        minutes: how long.

    Raises:
        InputError: it is negative or not a number.
    """

    minutes: float
    _begin: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if not self.minutes >= 0:
            raise InputError(f"--minutes must be at least 0, got {self.minutes:g}")
        object.__setattr__(self, "_begin", time.monotonic())

    @property
    def minutes_left(self) -> float:
        """Return what is left, at least 0."""
        gone = (time.monotonic() - self._begin) / 60.0
        return self.minutes if math.isinf(self.minutes) else max(self.minutes - gone, 0.0)

    def watched(self, progress: Progress) -> Progress:
        """Return a progress function that raises TimeIsUp where the time is over."""

        def move(stage: str, done: int, total: int) -> None:
            progress(stage, done, total)
            if self.minutes_left == 0.0:
                raise TimeIsUp

        return move
