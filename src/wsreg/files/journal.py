"""A file of rows that grows line by line, so that a run that was stopped goes on.

For large results, or several processes, see :mod:`wsreg.files.pieces`.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.damage import say_damaged
from wsreg.files.plans import differing_keys, plain_plan
from wsreg.files.whole import writing_to

CHECK_SUM, DAMAGED = "crc32", ".damaged"
"""Field of each line, and ending of the copy of a journal that was not whole."""


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

    A last line that was only half written is cut off.  What follows a damaged line is cut off, too,
    and a copy kept: rows may build on those before them.

    Args:
        path: of the file; its folder is made if need be.
        setup: what tells this run from others, in JSON's types: the method, its settings, the data.

    Raises:
        InputError: the file is of another setup, holds something else, or cannot be written.
    """
    records = _whole_records(path)
    if not records:
        _append(path, {"setup": plain_plan(setup)})
        return RowJournal(path=path, rows=())
    differing = differing_keys(records[0].get("setup"), setup)
    if differing:
        raise InputError(
            f"journal {path} must be of this run, got one that differs in "
            f"{', '.join(differing)}; name another file or delete it"
        )
    return RowJournal(path=path, rows=tuple(records[1:]))


def _whole_records(path: Path) -> list[dict[str, Any]]:
    """Return the records up to the first damaged line, where the file is cut."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            return []
        content = path.read_bytes()
        records, length = [], 0
        sealed = f'"{CHECK_SUM}"'.encode() in content.partition(b"\n")[0]
        for line in content.splitlines(keepends=True):
            record = _parsed(line, sealed=sealed)
            if record is None:
                break
            records.append(record)
            length += len(line)
        if b"\n" in content[length:]:  # else it is what a kill leaves of a line
            copy = path.with_name(path.name + DAMAGED)
            copy.write_bytes(content)
            say_damaged(
                f"{path} is damaged in line {len(records) + 1}; what it held from there on is made "
                f"again (a copy is {copy.name})"
            )
        if length < len(content):
            os.truncate(path, length)
    except OSError as error:
        raise InputError(f"cannot use journal {path}: {error.strerror or error}") from error
    return records


def _append(path: Path, record: Mapping[str, Any]) -> None:
    text = json.dumps({**record, CHECK_SUM: _check_sum(record)}, allow_nan=False)
    rest = memoryview(text.encode() + b"\n")
    with writing_to(path), path.open("ab", buffering=0) as stream:
        begin = stream.seek(0, os.SEEK_END)
        try:
            while len(rest):  # a disk that fills up takes a part first and refuses the rest
                rest = rest[stream.write(rest) :]
        except OSError:
            stream.truncate(begin)
            raise


def _parsed(line: bytes, *, sealed: bool) -> dict[str, Any] | None:
    """Return the record of a line, None for a damaged one; older journals have no check sums."""
    try:
        record = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    found = record.pop(CHECK_SUM, None)
    whole = not sealed if found is None else found == _check_sum(record)
    return record if whole else None


def _check_sum(record: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(record).encode())
