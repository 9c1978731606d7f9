"""What identifies an input file, whatever its name."""

from __future__ import annotations

import hashlib
from pathlib import Path

from wsreg.errors import InputError


def sha256_of(path: str | Path) -> str:
    """Return the hex digest of a file, or of a folder's files whatever their names and order.

    Raises:
        InputError: the path is missing, cannot be read, or is an empty folder.
    """
    source = Path(path)
    try:
        if not source.is_dir():
            return _file_digest(source)
        digests = sorted(_file_digest(p) for p in source.rglob("*") if p.is_file())
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror or error}") from error
    if not digests:
        raise InputError(f"input folder {source} must hold files, got an empty folder")
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
