"""Processes that end with the one that began them, however that one ends."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """End this process as soon as the one that began it lives no more; called once, at its start.

    A thread waits for the parent, which needs nothing of the system but what multiprocessing has.
    (Linux could send a signal, but it does so when the *thread* ends that began the process.)
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
