"""Files written whole or not at all, and what identifies an input file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wsreg.errors import InputError

RESULT_FILES = ("result.json", "pose.json", "pose.tfm", "overlay.png", "summary.csv")
"""Names that mark a folder as already holding results."""


@contextlib.contextmanager
def staged_folder(folder: str | Path) -> Iterator[Path]:
    """Give a temporary folder to write to; its files appear in ``folder`` when the block succeeds.

    A new folder appears at once with all its files; in one that exists, only files of the same
    names are replaced.

    Raises:
        InputError: the folder cannot be written.
    """
    target = Path(folder)
    # On the target's own file system, where a rename is atomic.
    staging = (target if target.exists() else target.parent) / f".wsreg-{uuid.uuid4().hex}"
    try:
        staging.mkdir(parents=True)
        yield staging
        if target.exists():
            for file in staging.iterdir():
                file.replace(target / file.name)
        else:
            staging.rename(target)
    except OSError as error:
        raise InputError(f"cannot write to {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def staged_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes ``path`` when the block succeeds.

    The file name stays the same, for libraries that go by the extension.

    Raises:
        InputError: the file cannot be written.
    """
    target = Path(path)
    with staged_folder(target.parent) as staging:
        yield staging / target.name


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with staged_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, content: Any) -> None:
    """Write strict JSON, whole or not at all; NaN and infinity are a ``ValueError``."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def prepare_output_folder(path: str | Path, *, force: bool) -> Path:
    """Check, before any long work, that results may be written to a folder; nothing is made yet.

    Raises:
        InputError: it is a file, cannot be written, or holds results and ``force`` is not set.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output folder must be a folder, got the file {folder}")
    held = [name for name in RESULT_FILES if (folder / name).exists()]
    if held and not force:
        raise InputError(
            f"output folder {folder} already holds results ({held[0]}); "
            "name another or pass --force to replace them"
        )
    nearest = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise InputError(
            f"output folder {folder} must be writable: {error.strerror or error}"
        ) from error
    return folder


def sha256_of(path: str | Path) -> str:
    """Hex digest of a file, or of a folder's files whatever their names and order.

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
