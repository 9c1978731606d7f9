"""Files and folders that appear under their name when they are whole, or not at all.

What is being written lies beside its target, hidden and on the same file system, where a rename is
atomic.  A process that is killed leaves the old file as it was.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from wsreg.errors import InputError


@contextlib.contextmanager
def staged_folder(folder: str | Path) -> Iterator[Path]:
    """Give a temporary folder to write to; its files appear in ``folder`` when the block succeeds.

    A new folder appears at once with all its files; in one that exists, only files of the same
    names are replaced.

    Raises:
        InputError: the folder cannot be written.
    """
    target = Path(folder)
    staging = (target if target.exists() else target.parent) / _hidden("folder")
    try:
        with writing_to(target):
            staging.mkdir(parents=True)
            yield staging
            if target.exists():
                for file in staging.iterdir():
                    file.replace(target / file.name)
            else:
                staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def staged_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes ``path`` when the block succeeds.

    The name ends as the target's does, for libraries that go by the extension.

    Raises:
        InputError: the file cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(_hidden(target.name))
    with writing_to(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.touch(exist_ok=False)
            mode = temporary.stat().st_mode
            yield temporary
            if temporary.stat().st_mode != mode:  # safetensors makes files for their owner only
                temporary.chmod(mode)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    with staged_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


@contextlib.contextmanager
def writing_to(path: str | Path) -> Iterator[None]:
    """Turn the system's refusal to write (disk full, no permission) into one sentence.

    Raises:
        InputError: the block raised an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write to {path}: {error.strerror or error}") from error


def _hidden(name: str) -> str:
    """Return a name of its own for each writer: two that write the same file do not meet."""
    return f".wsreg-{uuid.uuid4().hex[:12]}-{name}"
