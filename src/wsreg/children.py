"""Processes that end with the one that began them, however that one ends, and not before it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from types import FrameType


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


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Let an interrupt (Ctrl-C) come after the block; processes that it begins never see one.

    A terminal sends it to every process of a command: the one that a person began says so, and ends
    the others.  Threads and processes have the mask of the thread that begins them, from their
    first instruction on, when no handler of theirs is there yet.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # its first start would let interrupts through
    came: list[int] = []
    with _handled_by(lambda number, frame: came.append(number)):
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if came:
        signal.raise_signal(signal.SIGINT)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have interrupts of this process handled otherwise in the block, where its thread may say so.

    The system hands them to any thread that does not mask them, as a library's may not.
    """
    others = (
        signal.getsignal(signal.SIGINT) is None
    )  # a program around Python, which cannot know it
    if others or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
