"""NumPy's files, one array (.npy) or several by name (.npz): no pickles, sizes looked at first."""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from wsreg.files.memory import check_fits
from wsreg.files.packed import HIGHEST_RATIO
from wsreg.files.reading_from import reading_from

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""By version; numbers and texts never need a later one."""


def read_array(path: Path, rule: str) -> NDArray[Any]:
    """Return the array in a .npy file.

    Args:
        path: of the file.
        rule: what a file breaks that is none.

    Raises:
        InputError: it is missing, no array, one of Python's objects, larger than its file or than
            memory.
    """
    with reading_from(path, rule), path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        _check_size(stream, size, path, "its array")
        stream.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def read_arrays(path: Path, rule: str = "cannot be read", hint: str = "") -> dict[str, Any]:
    """Return the arrays in a .npz file by their names.

    Args:
        path: of the file.
        rule: what a file breaks that is none.
        hint: what to do about it.

    Raises:
        InputError: as :func:`read_array`.
    """
    with reading_from(path, rule, hint=hint), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if total > HIGHEST_RATIO * path.stat().st_size:
            raise ValueError(f"so few bytes cannot hold the {total} that it tells of")
        check_fits(total, path, f"{len(members)} arrays of {total} bytes")
        return {
            member.filename.removesuffix(".npy"): _member(archive, member, path)
            for member in members
        }


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    with archive.open(member) as stream:
        _check_size(stream, member.file_size, path, member.filename)
    with archive.open(member) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # at its end the checksum is compared
        return array


def _check_size(stream: IO[bytes], size: int, path: Path, name: str) -> None:
    """Raise ValueError unless the array that a header tells of is in a file of so many bytes."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"{name} is of NPY's version {version}, numbers and texts have 1 or 2")
    shape, _, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python's objects, which can run code, and not numbers")
    needed, present = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if min(shape, default=0) < 0 or needed > present:
        raise ValueError(
            f"{name} is truncated: it tells of {' x '.join(map(str, shape)) or 'one'} numbers of "
            f"{dtype}, which need {needed} bytes, and has {present}"
        )
    check_fits(needed, path, f"{' x '.join(map(str, shape))} numbers of {dtype}")
