"""Numba's compiler, with a cache on disk wherever one can be, which says when it is at work."""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing
import os
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import event

SENTENCE = "wsreg compiles its kernels, once after installing (up to half a minute)"

_told = threading.Event()


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function when it is first called, or takes it from disk.

    The cache lies beside the source or in the user's folder of caches, as numba has it; where
    neither can be written, in a folder for temporary files; and where that cannot be either, every
    process compiles anew.  A cache that cannot be added to, for want of space, costs no answer.

    Args:
        options: of ``numba.njit``.
    """
    _listen()

    def decorate(function: Callable[..., Any]) -> Any:
        found = _cached(function, options)
        cache = found._cache
        save = cache.save_overload

        def save_if_possible(*arguments: Any) -> None:
            with contextlib.suppress(OSError):
                save(*arguments)

        cache.save_overload = save_if_possible
        return found

    return decorate


def _cached(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Return the function as numba's, with a cache if there is a place for one."""
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither this package nor the user's folder of caches can be written
        folder = own_temporary_folder()
    if folder is None:
        return numba.njit(**options)(function)
    numba.config.CACHE_DIR = str(folder)
    return numba.njit(cache=True, **options)(function)


@functools.cache
def own_temporary_folder() -> Path | None:
    """Return a folder for temporary files that this user alone can write; None without one.

    It is the same for every process.  What lies there is run, so it must not be another's.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    try:
        folder = Path(tempfile.gettempdir()) / f"wsreg-kernels-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    others = stat.S_IWGRP | stat.S_IWOTH
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & others:
        return None
    return folder if os.access(folder, os.W_OK) else None


@functools.cache
def _listen() -> None:
    event.register("numba:compile", _Teller())


class _Teller(event.Listener):  # type: ignore[misc]
    """Says once, and not in workers, that kernels of this package are being compiled."""

    def on_start(self, event: Any) -> None:
        module = event.data["dispatcher"].py_func.__module__
        worker = multiprocessing.parent_process() is not None
        if module.startswith("wsreg.") and not worker and not _told.is_set():
            _told.set()
            logging.getLogger("wsreg").warning(SENTENCE)

    def on_end(self, event: Any) -> None:
        pass
