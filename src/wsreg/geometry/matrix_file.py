"""A matrix alone in a file: text with blanks or commas, or .npy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from wsreg.errors import InputError

TEXT_SUFFIXES = (".txt", ".csv", ".dat")
MARK = "#wsreg: "
"""Begins the comment that says what the numbers of a file of ours mean."""


def marked_convention(path: Path) -> str | None:
    """Return what a text file of ours says that its numbers mean; None where it does not."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return next((line[len(MARK) :].strip() for line in lines if line.startswith(MARK)), None)


def read_matrix_file(path: Path) -> Any:
    """Return the rows of a matrix, 16 numbers in one line as four rows.

    Raises:
        InputError: a file that cannot be read or holds something else.
    """
    if path.suffix.lower() == ".npy":
        return _of_npy(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    lines = [line.split("#", 1)[0].strip() for line in text.splitlines()]
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
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} must be a .npy file of numbers: {error}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise InputError(f"{path} must hold one array of numbers")
    return array.reshape(array.shape[1:] if array.ndim == 3 and len(array) == 1 else array.shape)
