"""A file of rows that grows line by line, so that a run that was stopped goes on.

For large results, or several processes, see :mod:`wsreg.files.pieces`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.plans import differing_keys, plain_plan
from wsreg.files.whole import writing_to


@dataclass(frozen=True, kw_only=True)
class RowJournal:
    """JSON lines: first what is run, then one line for each row.

    Args:
        path: of the file.
        rows: those that it held when it was opened; the first is in line 2.
    """

    path: Path
    rows: tuple[Mapping[str, Any], ...]

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; a disk that is full leaves the rows before it whole.

        Raises:
            InputError: it cannot be written.
            ValueError: it holds NaN or infinity.
        """
        _append(self.path, row)


def open_row_journal(path: Path, setup: Mapping[str, Any]) -> RowJournal:
    """Begin a journal, or go on with the one that is there.

    A last line that was only half written is cut off.

    Args:
        path: of the file; its folder is made if need be.
        setup: what tells this run from others, in JSON's types: the method, its settings, the data.

    Raises:
        InputError: the file is of another setup, holds something else, or cannot be written.
    """
    lines = _whole_lines(path)
    if not lines:
        _append(path, {"setup": plain_plan(setup)})
        return RowJournal(path=path, rows=())
    records = [_parsed(path, number, line) for number, line in enumerate(lines, start=1)]
    differing = differing_keys(records[0].get("setup"), setup)
    if differing:
        raise InputError(
            f"journal {path} must be of this run, got one that differs in "
            f"{', '.join(differing)}; name another file or delete it"
        )
    return RowJournal(path=path, rows=tuple(records[1:]))


def _whole_lines(path: Path) -> list[str]:
    """Return the lines of a file, which is shortened to those that end."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            return []
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        return whole.decode("utf-8").splitlines()
    except OSError as error:
        raise InputError(f"cannot use journal {path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise InputError(f"journal {path} must be a text file of JSON lines") from None


def _append(path: Path, record: Mapping[str, Any]) -> None:
    rest = memoryview(json.dumps(record, allow_nan=False).encode("utf-8") + b"\n")
    with writing_to(path), path.open("ab", buffering=0) as stream:
        begin = stream.seek(0, os.SEEK_END)
        try:
            while len(rest):  # a disk that fills up takes a part first and refuses the rest
                rest = rest[stream.write(rest) :]
        except OSError:
            stream.truncate(begin)
            raise


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise InputError(f"journal {path} line {number} must be a JSON object, got {line[:40]!r}")
    return record
