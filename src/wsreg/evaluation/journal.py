"""A journal of trials, so that a run that was stopped goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.evaluation.trial import Trial, trial_from_record, trial_to_record
from wsreg.files.journal import RowJournal, open_row_journal


@dataclass(frozen=True, kw_only=True)
class Journal:
    """Trials that are kept as they are made.

    Args:
        rows: the file.
        trials: those that it held when it was opened, by (specimen, projection).
    """

    rows: RowJournal
    trials: Mapping[tuple[str, str], Trial]

    def append(self, trial: Trial) -> None:
        """Add a trial.

        Raises:
            InputError: it cannot be written.
        """
        self.rows.append(trial_to_record(trial))


def open_journal(path: Path, setup: Mapping[str, Any]) -> Journal:
    """Begin a journal, or go on with the one that is there.

    Args:
        path: of the file; its folder is made if need be.
        setup: what tells this run from others, in JSON's types: the method, its settings, the data.

    Raises:
        InputError: the file is of another setup, holds something else, or cannot be written.
    """
    rows = open_row_journal(path, setup)
    trials = [_trial(path, number, record) for number, record in enumerate(rows.rows, start=2)]
    return Journal(rows=rows, trials={trial.key: trial for trial in trials})


def _trial(path: Path, number: int, record: Mapping[str, Any]) -> Trial:
    try:
        return trial_from_record(record)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"journal {path} line {number} must be a trial: {error}") from None
