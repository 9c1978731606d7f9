"""A matrix alone in a file: text with blanks or commas, or .npy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.arrays import read_array
from wsreg.files.reading_from import read_text

TEXT_SUFFIXES = (".txt", ".csv", ".dat")
MARK = "#wsreg: "
"""Begins the comment that says what the numbers of a file of ours mean."""


def marked_convention(path: Path) -> str | None:
    """Return what a text file of ours says that its numbers mean; None where it does not."""
    try:
        lines = read_text(path).splitlines()
    except InputError:
        return None
    return next((line[len(MARK) :].strip() for line in lines if line.startswith(MARK)), None)


def read_matrix_file(path: Path) -> Any:
    """Return the rows of a matrix, 16 numbers in one line as four rows.

    Raises:
        InputError: a file that cannot be read or holds something else.
    """
    if path.suffix.lower() == ".npy":
        return _of_npy(path)
    lines = [line.split("#", 1)[0].strip() for line in read_text(path).splitlines()]
    rows = [_numbers(line, path) for line in lines if line]
    if len(rows) == 1 and len(rows[0]) == 16:
        return [rows[0][start : start + 4] for start in (0, 4, 8, 12)]
    if len({len(row) for row in rows}) != 1:
        raise InputError(
            f"{path} must hold a matrix, got rows of {[len(row) for row in rows]} numbers"
        )
    return rows


def _numbers(line: str, path: Path) -> list[float]:
    words = [word for word in re.split(r"[\s,;\[\]]+", line) if word]
    try:
        return [float(word) for word in words]
    except ValueError:
        raise InputError(f"{path} must hold numbers only, got the line {line[:60]!r}") from None


def _of_npy(path: Path) -> Any:
    if not path.exists():
        raise InputError(f"{path} does not exist")
    array = read_array(path, "must be a .npy file of numbers")
    if array.dtype.kind not in "iuf":
        raise InputError(f"{path} must hold one array of numbers")
    return array.reshape(array.shape[1:] if array.ndim == 3 and len(array) == 1 else array.shape)
