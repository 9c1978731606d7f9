"""Work cut into ranges for a pool of plain Python threads.

It is for compiled code that lets go of the GIL.  Numba's own thread pools are not used:
OpenMP's threads spin while they wait, the others fail when two Python threads call them, and a
forked child inherits neither.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from wsreg.errors import InputError

CHUNKS_PER_THREAD = 4
"""Ranges cost different amounts: who is done early takes another."""


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores_for_helpers() -> int:
    """Return how many processes may well work beside this one: one for each other usable core.

    It is 0 where a new process does not share this one's memory, and so begins too slowly.
    """
    import multiprocessing

    return usable_cores() - 1 if multiprocessing.get_start_method() == "fork" else 0


def thread_count() -> int:
    """Return how many threads share the work: WSREG_THREADS, or else one for each usable core.

    Raises:
        InputError: WSREG_THREADS is not a whole number of at least 1.
    """
    wanted = os.environ.get("WSREG_THREADS")
    if not wanted:
        return usable_cores()
    if not wanted.isdecimal() or int(wanted) < 1:
        raise InputError(f"WSREG_THREADS must be a whole number of at least 1, got {wanted!r}")
    return int(wanted)


def keep_to_one_thread() -> None:
    """Let this process, one of several that share the cores, do all its work on one thread."""
    import torch

    torch.set_num_threads(1)
    os.environ["WSREG_THREADS"] = "1"


@contextlib.contextmanager
def one_openmp_thread() -> Iterator[None]:
    """Let the calling thread's torch operations do without a team of OpenMP threads.

    The tensors of a registration are small: on a busy machine a team takes ten times as long to
    meet as the work takes.  OpenMP and MKL keep this number for each thread, so other threads of
    the process keep theirs, and so does this one afterwards.
    """
    import torch

    torch.get_num_threads()  # torch sets a thread's number when it first asks, which undoes a limit
    before = _set_mkl_threads(1)
    try:
        with _openmp().limit(limits=1):
            yield
    finally:
        _set_mkl_threads(before)


@functools.cache
def _openmp() -> Any:
    """Return the OpenMP of torch, which must be loaded to be found."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="openmp")


def _set_mkl_threads(count: int) -> int:
    """Set how many threads MKL, which asks OpenMP for as many, uses for the calling thread.

    Returns:
        The number before; 0 stands for that of the process.
    """
    setter = _mkl_setter()
    return 0 if setter is None else int(setter(count))


@functools.cache
def _mkl_setter() -> Callable[[int], int] | None:
    """Return the function of MKL within torch that sets this; None where torch has no MKL."""
    import torch

    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    if not library.exists():
        return None
    return getattr(ctypes.CDLL(str(library)), "MKL_Set_Num_Threads_Local", None)


def run_ranges(work: Callable[[int, int], object], count: int, smallest: int) -> None:
    """Call ``work(first, last)`` on ranges that make up range(count), several at a time.

    The caller's thread takes part, so it never waits for a pool that is busy with others' work.

    Args:
        work: what to do; it must not mind in which order, and must let go of the GIL to gain.
        count: how many pieces of work there are.
        smallest: how many pieces are worth a range of their own.  Less than two ranges' worth is
            done by the caller alone.
    """
    threads = min(thread_count(), count // max(smallest, 1))
    if threads < 2:
        work(0, count)
        return
    chunks = min(threads * CHUNKS_PER_THREAD, count // max(smallest, 1))
    ends = [count * number // chunks for number in range(chunks + 1)]
    waiting = deque(itertools.pairwise(ends))

    def take_ranges() -> None:
        with contextlib.suppress(IndexError):
            while True:
                work(*waiting.popleft())

    helpers: list[Future[None]] = []
    with contextlib.suppress(RuntimeError):  # the interpreter ends: no new helpers any more
        for _ in range(threads - 1):
            helpers.append(_pool().submit(take_ranges))
    try:
        take_ranges()
    finally:
        waiting.clear()
        for helper in helpers:
            if not helper.cancel():
                helper.result()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    helpers = max(thread_count(), usable_cores()) - 1
    return ThreadPoolExecutor(max(helpers, 1), thread_name_prefix="wsreg")


def _begin_forked() -> None:
    """Let a forked child do without threads of its parent, which did not come along.

    The thread that forked would wait for ever for its OpenMP team; other threads make new ones.
    """
    _pool.cache_clear()
    if "torch" in sys.modules:
        sys.modules["torch"].get_num_threads()  # as above
        _openmp().limit(limits=1)
        _set_mkl_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_forked)
