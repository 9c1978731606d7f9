"""A pool of processes that outlives the death of some, where Dask is not installed."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Literal

from wsreg.children import end_with_parent, interrupts_held_back
from wsreg.errors import WsregError
from wsreg.threads import keep_to_one_thread

ONE_THREAD = {"WSREG_THREADS": "1", "OMP_NUM_THREADS": "1"}
DEATHS_ALLOWED = 3
"""Without any success between them, as Dask has it."""


class ProcessPool(Executor):
    """Processes of one thread each; when one dies, all are begun anew with what is not done.

    They see no interrupt; a block ``with`` the pool that fails kills them, whatever they have in
    hand.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.RLock()
        self._deaths = 0
        self._closed = False
        self._pool = self._begin()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a function called by one of the processes."""
        outer: Future[Any] = Future()
        self._send(outer, fn, args, kwargs)
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes when they are done with what they have in hand."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        with interrupts_held_back():
            if kind is not None:
                self._kill()
            self.shutdown(cancel_futures=kind is not None)
        return False

    def _kill(self) -> None:
        with self._lock:
            self._closed = True  # what dies now is not begun anew
            for process in list((self._pool._processes or {}).values()):
                process.kill()

    def _begin(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._count, context, begin_worker)

    def _send(self, outer: Future[Any], fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
        with self._lock:
            pool = self._pool
            with interrupts_held_back():  # it begins a process for each of the first ones
                inner = pool.submit(fn, *args, **kwargs)

        def hand_on(inner: Future[Any]) -> None:
            if inner.cancelled():
                outer.cancel()
                outer.set_running_or_notify_cancel()
            elif not isinstance(inner.exception(), BrokenProcessPool):
                self._deaths = 0
                _copy(inner, outer)
            elif self._renew(pool):
                self._send(outer, fn, args, kwargs)
            elif outer.set_running_or_notify_cancel():
                outer.set_exception(
                    WsregError("processes died again and again at this work (for want of memory?)")
                )

        outer.add_done_callback(lambda done: inner.cancel() if done.cancelled() else None)
        inner.add_done_callback(hand_on)

    def _renew(self, broken: ProcessPoolExecutor) -> bool:
        """Put a new pool in the place of a broken one, and tell whether there is one."""
        with self._lock:
            if self._pool is broken and not self._closed and self._deaths < DEATHS_ALLOWED:
                self._deaths += 1
                self._pool = self._begin()
            return self._pool is not broken


def _copy(inner: Future[Any], outer: Future[Any]) -> None:
    if not outer.set_running_or_notify_cancel():
        return
    error = inner.exception()
    if error is None:
        outer.set_result(inner.result())
    else:
        outer.set_exception(error)


def begin_worker() -> None:
    """Keep to one thread, and end with the process that began this one, even if it is killed."""
    end_with_parent()
    os.environ.update(ONE_THREAD)
    if "torch" in sys.modules:  # else it reads the above when it is loaded
        keep_to_one_thread()
