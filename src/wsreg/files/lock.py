"""One run at a time: a lock that the system takes back from a process that dies."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from wsreg.errors import InputError
from wsreg.files.names import LONGEST_BYTES
from wsreg.files.whole import tidy, writing_to

LOCK_FILE = ".wsreg-lock"
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems say that have none: there a run is trusted to be alone."""

RANKS = ("LOCAL_RANK", "RANK")
"""Variables by which Lightning Fabric and torchrun number the processes that they begin."""


@contextlib.contextmanager
def locked(path: Path, *, what: str = "", wait: bool = False) -> Iterator[None]:
    """Hold a lock; its file says who holds it, and goes in the end.

    Args:
        path: of the file; its folder is made if need be.
        what: is written by whoever holds it, for the error.
        wait: for another that holds it.

    Raises:
        InputError: another holds it and is not waited for, or the file cannot be written.
    """
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = _acquired(path, what, wait)
        while not _is_at(stream, path):  # the file that was waited for is gone
            stream.close()
            stream = _acquired(path, what, wait)
    with stream:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _acquired(path: Path, what: str, wait: bool) -> IO[str]:
    stream = path.open("a+", encoding="utf-8")
    try:
        _lock(stream, wait)
    except BlockingIOError:
        with stream:
            stream.seek(0)
            owner = stream.read().strip()
        raise InputError(
            f"{what or path} is being written by another run{owner and f' ({owner})'}; wait until "
            "it is done or name another"
        ) from None
    with contextlib.suppress(OSError):  # on a full disk it stays empty
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {platform.node()}\n")
        stream.flush()
    return stream


def _lock(stream: IO[str], wait: bool) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def _is_at(stream: IO[str], path: Path) -> bool:
    """Tell whether an open file lies there still: who held it before takes it away."""
    if sys.platform == "win32":
        return True
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Hold an output folder for one run, tidied of what killed runs left there.

    It is made if need be, and goes again if it stays empty.  Of the processes of one training on
    several devices, the first holds it for all.

    Raises:
        InputError: it is a file, cannot be written, or another run writes to it.
    """
    if os.path.islink(folder) and not os.path.exists(folder):
        raise InputError(f"output folder must be a folder, got the link {folder} to nothing")
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise InputError(f"output folder must be a folder, got the file {folder}")
    if any(os.environ.get(name, "0") != "0" for name in RANKS):
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            new = _missing(folder)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error
        stack.callback(_remove_empty, new)
        try:
            stack.enter_context(locked(folder / LOCK_FILE, what=f"output folder {folder}"))
        except InputError as error:
            if isinstance(error.__cause__, OSError):
                raise _unwritable(folder, error.__cause__) from error
            raise
        tidy(folder)
        yield


@contextlib.contextmanager
def held_file(path: Path) -> Iterator[None]:
    """Hold an output file for one run; folders that are made for it go again if they stay empty.

    Raises:
        InputError: it is a folder, its own cannot be written, or another run writes to it.
    """
    if not path.name or path.is_dir():
        raise InputError(f"output must be a file, got the folder {path}")
    lock = path.with_name(f"{LOCK_FILE}-{path.name[-LONGEST_BYTES:]}")
    with contextlib.ExitStack() as stack:
        with writing_to(path):
            stack.callback(_remove_empty, _missing(path.parent))
        stack.enter_context(locked(lock, what=str(path)))
        yield


def _missing(folder: Path) -> list[Path]:
    """Return a folder and those above it that are not there yet."""
    return [path for path in (folder, *folder.parents) if not os.path.exists(path)]


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"output folder {folder} must be writable: {error.strerror or error}")


def _remove_empty(folders: list[Path]) -> None:
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()
