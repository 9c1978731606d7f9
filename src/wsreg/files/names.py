"""What a file is called without its ending, and names that files may have."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from wsreg.errors import InputError

LONGEST_BYTES = 180
"""Of a name from elsewhere: disks take 255, of which prefixes and endings need some."""


def stem(path: Path) -> str:
    """Return the name of a file without its ending, which may be a double one, ``.nii.gz``."""
    return path.name[:-7] if path.name.lower().endswith(".nii.gz") else path.stem


def as_path(path: object, name: str, how: str = "") -> Path:
    """Return a path that a caller gives.

    Raises:
        InputError: for what is none; ``how`` says what to do with such a thing.
    """
    if isinstance(path, str | os.PathLike):
        return Path(path)
    hint = f"; {how}" if how else ""
    raise InputError(f"{name} must be the path of a file, got {type(path).__name__}{hint}")


def different(names: Iterable[str]) -> list[str]:
    """Return the names with a number after those that came before: knee, knee-2, knee-3.

    Case alone makes no difference, for on many a disk it makes none between files.
    """
    found: dict[str, str] = {}
    for name in names:
        own, number = name, 1
        while own.casefold() in found:
            number += 1
            own = f"{name}-{number}"
        found[own.casefold()] = own
    return list(found.values())


def file_name(name: str) -> str:
    """Return a name with _ in the place of what is no letter, digit, dot, - or _, cut if long."""
    return _cut(re.sub(r"[^\w.-]+", "_", name))


def folder_name(name: str) -> str:
    """Return a name as a folder may have it that stays where it is made, and is seen there.

    In the place of control characters, of what divides folders, of bytes that are no text, and of
    dots and spaces before and after is a _; a long name is cut, for files are named after it.
    """
    visible = _cut(re.sub(r"[\x00-\x1f\x7f/\\\ud800-\udfff]", "_", name))
    bare = visible.strip(". ")
    before, _, after = visible.partition(bare) if bare else (visible, "", "")
    return ("_" * len(before) + bare + "_" * len(after)) or "_"


def given_name(path: Path) -> str:
    """Return the name of a file or folder as it was given, not of what a link leads to.

    Patients' names are in such places.
    """
    return os.path.basename(os.path.abspath(path))


def _cut(name: str) -> str:
    return name.encode("utf-8", "surrogatepass")[:LONGEST_BYTES].decode("utf-8", "ignore")
