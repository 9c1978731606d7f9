"""How far a run is, and how long the rest may take."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from wsreg.jobs.task import Task


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is.

    Args:
        done: tasks whose results are there.
        total: all tasks.
        seconds_left: about how long the rest takes.
        last: name of the task that was finished last, "" before any.
    """

    done: int
    total: int
    seconds_left: float
    last: str = ""

    @property
    def text(self) -> str:
        """Return it in words."""
        left = f", about {duration(self.seconds_left)} left" if self.done < self.total else ""
        last = f" ({self.last})" if self.last else ""
        return f"{self.done} of {self.total} tasks done{left}{last}"


def duration(seconds: float) -> str:
    """Return a time as a person says it: 40 s, 12 min, 3 h 20 min, 20 h."""
    if seconds < 99.5:
        return f"{math.ceil(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours = minutes / 60
    if hours < 10:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours:.0f} h" if hours < 240 else f"{hours:.0f} h ({hours / 24:.0f} days)"


def seconds_left(
    tasks: Sequence[Task], taken: Mapping[str, float], done: Collection[str], workers: int
) -> float:
    """Estimate how long the rest of a graph takes.

    A task takes what its ``seconds`` say, times what the finished tasks of its group took more or
    less than theirs, all together; of a group of which none is done, times that of all groups.
    The rest cannot take less than its longest chain, nor less than all of it shared out among the
    workers.

    Args:
        tasks: in order.
        taken: seconds that finished tasks took, by name.
        done: names of those that are finished.
        workers: how many work at a time.
    """
    finished: dict[str, list[Task]] = {}
    for task in tasks:
        if task.name in taken:
            finished.setdefault(task.alike, []).append(task)
    factors = {name: _factor(some, taken) for name, some in finished.items()}
    usual = _factor([task for some in finished.values() for task in some], taken)
    ends: dict[str, float] = {}
    work = 0.0
    for task in tasks:
        alone = 0.0
        if task.name not in done:
            alone = task.seconds * factors.get(task.alike, usual)
        work += alone
        ends[task.name] = alone + max((ends[name] for name in task.needs), default=0.0)
    return max(work / workers, max(ends.values(), default=0.0))


def _factor(finished: Sequence[Task], taken: Mapping[str, float]) -> float:
    """Return how many times as long as they said tasks took, all together; 1 for none."""
    said = sum(task.seconds for task in finished)
    return sum(taken[task.name] for task in finished) / said if said else 1.0
