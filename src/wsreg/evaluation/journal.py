"""A file of trials that grows line by line, so that a run that was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.evaluation.trial import Trial, trial_from_record, trial_to_record


@dataclass(frozen=True, kw_only=True)
class Journal:
    """JSON lines: first what was run, then one line for each trial.

    Args:
        path: of the file.
        trials: those that it held when it was opened, by (specimen, projection).
    """

    path: Path
    trials: Mapping[tuple[str, str], Trial]

    def append(self, trial: Trial) -> None:
        """Add a trial.

        Raises:
            InputError: it cannot be written.
        """
        _append(self.path, trial_to_record(trial))


def open_journal(path: Path, setup: Mapping[str, Any]) -> Journal:
    """Begin a journal, or go on with the one that is there.

    A last line that was only half written is cut off.

    Args:
        path: of the file; its folder is made if need be.
        setup: what tells this run from others, in JSON's types: the method, its settings, the data.

    Raises:
        InputError: the file is of another setup, holds something else, or cannot be written.
    """
    wanted = json.loads(json.dumps({"setup": setup}, allow_nan=False))
    lines = _whole_lines(path)
    if not lines:
        _append(path, wanted)
        return Journal(path=path, trials={})
    records = [_parsed(path, number, line) for number, line in enumerate(lines, start=1)]
    found = records[0].get("setup")
    if found != wanted["setup"]:
        raise InputError(
            f"journal {path} must be of this run, got one that differs in "
            f"{_differing(found, wanted['setup'])}; name another file or delete it"
        )
    trials = [_trial(path, number, record) for number, record in enumerate(records[1:], start=2)]
    return Journal(path=path, trials={trial.key: trial for trial in trials})


def _whole_lines(path: Path) -> list[str]:
    """The lines of a file, which is shortened to those that end."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            return []
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with path.open("r+b") as stream:
                stream.truncate(len(whole))
        return whole.decode("utf-8").splitlines()
    except OSError as error:
        raise InputError(f"cannot use journal {path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise InputError(f"journal {path} must be a text file of JSON lines") from None


def _append(path: Path, record: Mapping[str, Any]) -> None:
    line = json.dumps(record, allow_nan=False) + "\n"
    try:
        with path.open("ab", buffering=0) as stream:  # one write for each line
            stream.write(line.encode("utf-8"))
    except OSError as error:
        raise InputError(f"cannot write to {path}: {error.strerror or error}") from error


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise InputError(f"journal {path} line {number} must be a JSON object, got {line[:40]!r}")
    return record


def _trial(path: Path, number: int, record: Mapping[str, Any]) -> Trial:
    try:
        return trial_from_record(record)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"journal {path} line {number} must be a trial: {error}") from None


def _differing(found: object, wanted: Mapping[str, Any]) -> str:
    if not isinstance(found, dict):
        return "everything"
    missing = object()
    keys = sorted({*found, *wanted})
    return ", ".join(k for k in keys if found.get(k, missing) != wanted.get(k, missing))
