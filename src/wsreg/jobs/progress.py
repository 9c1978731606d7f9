"""How far a run is, and how long the rest may take."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

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
    """Return a time as a person says it: 40 s, 12 min, 3 h 20 min."""
    if seconds < 99.5:
        return f"{math.ceil(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def seconds_left(
    tasks: Sequence[Task], taken: Mapping[str, float], done: Collection[str], workers: int
) -> float:
    """Estimate how long the rest of a graph takes.

    A task takes what its ``seconds`` say, times the median of what tasks of its kind took more or
    less than theirs; of a kind of which none is done, times that of all kinds.  The rest cannot
    take less than its longest chain, nor less than all of it shared out among the workers.

    Args:
        tasks: in order.
        taken: seconds that finished tasks took, by name.
        done: names of those that are finished.
        workers: how many work at a time.
    """
    factors: dict[str, list[float]] = {}
    for task in tasks:
        if task.name in taken:
            factors.setdefault(task.kind, []).append(taken[task.name] / task.seconds)
    usual = median([median(found) for found in factors.values()]) if factors else 1.0
    ends: dict[str, float] = {}
    work = 0.0
    for task in tasks:
        alone = 0.0
        if task.name not in done:
            alone = task.seconds * median(factors.get(task.kind, [usual]))
        work += alone
        ends[task.name] = alone + max((ends[name] for name in task.needs), default=0.0)
    return max(work / workers, max(ends.values(), default=0.0))
