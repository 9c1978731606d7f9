"""Files and folders that appear under their name when they are whole, or not at all.

What is being written lies beside its target, hidden and on the same file system, where a rename is
atomic.  A process that is killed leaves the old file as it was.  What it left behind is taken away,
or brought to its end, by whoever writes to that place next.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from wsreg.errors import InputError
from wsreg.files.hidden import PREFIX, hidden_name, left_behind

READY = "ready"
"""Ending of a folder whose files are all there, and of which some may already be in their place."""
OUTDATED_FILE = ".wsreg-outdated.json"


@contextlib.contextmanager
def staged_folder(folder: str | Path, outdated: Iterable[str] = ()) -> Iterator[Path]:
    """Give a temporary folder to write to; its files appear in ``folder`` when the block succeeds.

    A new folder appears at once with all its files.  In one that exists, the files of the same
    names and the outdated ones go first, then the new ones come: after a kill between, files may be
    missing, but never are some old and some new, and :func:`tidy` brings it to its end.

    Args:
        folder: to write to; other files in it stay.
        outdated: names, with / for those in folders below, of files that an earlier run put there
            and that would not fit to the new ones.

    Raises:
        InputError: the folder cannot be written.
    """
    target = Path(folder)
    with writing_to(target):
        there = target.exists()
        place = target if there else target.parent
        staging = place / hidden_name("folder")
        tidy(place)
        try:
            staging.mkdir(parents=True)
            yield staging
            if there:
                _put(staging, target, outdated)
            else:
                staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _put(staging: Path, target: Path, outdated: Iterable[str]) -> None:
    """Bring the files of a folder into one that exists."""
    new = _files_in(staging)
    for name in new:
        if (target / name).is_dir():
            raise IsADirectoryError(f"{name} is a folder there")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
    (staging / OUTDATED_FILE).write_text(json.dumps(sorted(set(outdated) - set(new))))
    ready = target / hidden_name(READY)
    staging.rename(ready)
    _finish(ready)


def _finish(ready: Path) -> None:
    """Take old files away, then bring those in that are not in their place yet."""
    new, outdated = _files_in(ready), json.loads((ready / OUTDATED_FILE).read_text())
    for name in (*outdated, *new):
        (ready.parent / name).unlink(missing_ok=True)
    for below in {(ready.parent / name).parent for name in outdated} - {ready.parent}:
        with contextlib.suppress(OSError):  # others may be left in it
            below.rmdir()
    for name in new:
        (ready.parent / name).parent.mkdir(exist_ok=True)
        (ready / name).replace(ready.parent / name)
    shutil.rmtree(ready)


def _files_in(folder: Path) -> list[str]:
    """Return the names of files in a folder and below, sorted, without our own."""
    found = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())
    return sorted(name for name in found if name != OUTDATED_FILE)


def tidy(folder: Path) -> None:
    """Take away what killed runs left in a folder; files that were on their way come to its end.

    Raises:
        InputError: they cannot be put in their place.
    """
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        ours = [folder / entry.name for entry in entries if entry.name.startswith(PREFIX)]
    for path in filter(left_behind, ours):
        own = folder / hidden_name(path.name.rpartition("-")[2])
        with contextlib.suppress(FileNotFoundError):  # another run was faster
            path.rename(own)
            if own.name.endswith(f"-{READY}") and (own / OUTDATED_FILE).is_file():
                with writing_to(folder):
                    _finish(own)
            elif own.is_dir():
                shutil.rmtree(own, ignore_errors=True)
            else:
                own.unlink()


@functools.lru_cache(maxsize=4096)
def _tidy_once(folder: Path) -> None:
    with contextlib.suppress(OSError):  # one that may not be read may be written to
        tidy(folder)


@contextlib.contextmanager
def staged_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes ``path`` when the block succeeds.

    The name ends as the target's does, for libraries that go by the extension.

    Raises:
        InputError: the file cannot be written.
    """
    target = Path(path)
    with writing_to(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _tidy_once(target.parent.absolute())
        temporary = target.with_name(hidden_name(target.name))
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
    """Write UTF-8 text, whole or not at all; letters of no encoding are written as escapes.

    Raises:
        InputError: the file cannot be written.
    """
    with staged_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def copy_file(source: Path, path: Path) -> None:
    """Copy a file, whole or not at all.

    Raises:
        InputError: it cannot be read or written.
    """
    with staged_file(path) as temporary:
        shutil.copyfile(source, temporary)


@contextlib.contextmanager
def writing_to(path: str | Path) -> Iterator[None]:
    """Turn the system's refusal to write (disk full, no permission) into one sentence.

    It names a file by the place in which it was to appear.

    Raises:
        InputError: the block raised an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        seen = Path(*(part for part in Path(path).parts if not part.startswith(PREFIX)))
        raise InputError(f"cannot write to {seen}: {error.strerror or error}") from error
