"""What a table compares: methods, each with its trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wsreg.errors import InputError
from wsreg.evaluation.trial import Trial

Role = Literal["baseline", "paper", "ours"]
ROLES: tuple[Role, ...] = ("baseline", "paper", "ours")
"""In their order: a method is tested against the best one of an earlier role."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A method and what it made of some X-rays.

    Args:
        name: of the method, such as ``diffpose``.
        title: as tables print it, such as ``DiffPose``.
        role: a published ``baseline``, the ``paper``'s own method, or one of ``ours``.
        trials: at least one, no X-ray twice.

    Raises:
        InputError: there are no trials, or an X-ray comes twice.
    """

    name: str
    title: str
    role: Role
    trials: Sequence[Trial]

    def __post_init__(self) -> None:
        if not self.trials:
            raise InputError(f"trials of {self.name} must be at least 1, got none")
        key, count = Counter(trial.key for trial in self.trials).most_common(1)[0]
        if count > 1:
            raise InputError(
                f"trials of {self.name} must have each X-ray once, "
                f"got {'/'.join(key)} {count} times"
            )

    @property
    def specimens(self) -> tuple[str, ...]:
        """Return the specimens in order of appearance."""
        return tuple(dict.fromkeys(trial.specimen for trial in self.trials))


def of_specimen(entry: Entry, specimen: str) -> Entry:
    """Return an entry with the trials of one specimen alone.

    Raises:
        InputError: there are none.
    """
    trials = [trial for trial in entry.trials if trial.specimen == specimen]
    return Entry(name=entry.name, title=entry.title, role=entry.role, trials=trials)
