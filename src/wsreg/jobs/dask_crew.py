"""Workers by Dask: a cluster on this machine, or one that is there.  Needs ``distributed``."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from pathlib import Path
from typing import Any

import dask
from distributed import Client, KilledWorker, LocalCluster

from wsreg.children import interrupts_held_back
from wsreg.errors import InputError, WsregError
from wsreg.jobs.crew import Crew
from wsreg.jobs.task import WSREG

SECONDS_TO_ANSWER = 10
SECONDS_BETWEEN_LOOKS = 0.05
ATTEMPTS = 3
"""At a cluster of this machine, of which a process may be killed before it works."""
ONE_THREAD = {"WSREG_THREADS": "1", "OMP_NUM_THREADS": "1"}
SETTINGS = {
    "distributed.worker.daemon": False,  # a task may begin processes of its own
    "distributed.admin.large-graph-warning-threshold": "1GB",
}


@contextlib.contextmanager
def dask_crew(scheduler: str | None, count: int) -> Iterator[Crew]:
    """Give the workers of a scheduler, or of a cluster of processes on this machine.

    Raises:
        InputError: the scheduler cannot be reached, or its workers do not fit.
    """
    with dask.config.set(SETTINGS), contextlib.ExitStack() as stack:
        # Interrupted, the begin or end of a cluster tells of itself at length.
        with interrupts_held_back():
            client = _begin(scheduler, count, stack)
        try:
            with _errors_in_words():
                yield Crew(
                    executor=DaskExecutor(client), size=lambda: max(len(client.nthreads()), 1)
                )
        finally:
            with interrupts_held_back():
                stack.close()


def _begin(scheduler: str | None, count: int, stack: contextlib.ExitStack) -> Client:
    """Return a client, which a stack ends, and with it what was begun for it."""
    if scheduler is None:
        cluster = stack.enter_context(_local_cluster(count))
        client = stack.enter_context(Client(cluster))
        stack.callback(_wait_for_restarts, client, count)
        return client
    client = stack.enter_context(_connected(scheduler))
    check_workers(_told_by_workers(client))
    return client


@contextlib.contextmanager
def _errors_in_words() -> Iterator[None]:
    try:
        yield
    except KilledWorker as error:
        raise WsregError(
            "workers died again and again at one task (for want of memory?)"
        ) from error
    except CancelledError as error:
        raise WsregError("the scheduler went away before all was done") from error


@contextlib.contextmanager
def _local_cluster(count: int) -> Iterator[LocalCluster]:
    cluster = _begun_cluster(count)
    try:
        yield cluster
    finally:
        # Killed processes of a busy machine take their time; Dask asserts that none just begins.
        with contextlib.suppress(TimeoutError, AssertionError):
            cluster.close()


def _wait_for_restarts(client: Client, count: int) -> None:
    """Wait until processes that died are begun again: a cluster that is closed before fails."""
    end = time.monotonic() + SECONDS_TO_ANSWER
    while len(client.nthreads()) < count and time.monotonic() < end:
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _begun_cluster(count: int) -> LocalCluster:
    for _ in range(ATTEMPTS):
        try:
            return LocalCluster(
                n_workers=count, threads_per_worker=1, env=ONE_THREAD, memory_limit=0,
                dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL,
            )  # fmt: skip
        except (RuntimeError, TimeoutError) as error:  # one was killed before it worked
            reason = error
    told = str(reason).rstrip(".")
    raise WsregError(f"processes cannot be begun: {told}; run the command again") from reason


def _connected(scheduler: str) -> Client:
    try:
        return Client(scheduler, timeout=SECONDS_TO_ANSWER)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"scheduler {scheduler} cannot be reached within {SECONDS_TO_ANSWER} s: {error}"
        ) from error


def _told_by_workers(client: Client) -> dict[str, tuple[int, object]]:
    """Return how many threads each worker has, and its wsreg or why it has none."""
    threads = client.nthreads()
    versions = client.run(wsreg_here, on_error="return")
    return {address: (threads.get(address, 1), found) for address, found in versions.items()}


def wsreg_here() -> str:
    """Return the version of wsreg in this process."""
    return WSREG


def check_workers(told: dict[str, tuple[int, object]]) -> None:
    """Check that workers have this wsreg and one thread each.

    Raises:
        InputError: one has not.
    """
    for address, (threads, found) in told.items():
        if found != WSREG:
            had = found if isinstance(found, str) else f"none ({found})"
            raise InputError(f"workers must have wsreg {WSREG}, got {had} at {address}")
        if threads != 1:
            raise InputError(
                f"workers must have one thread each (dask worker --nthreads 1), got {threads} "
                f"at {address}"
            )


class DaskExecutor(Executor):
    """Has functions called by the workers of a client."""

    def __init__(self, client: Client) -> None:
        self._executor = client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a function called by a worker, in this process's folder."""
        future: Future[Any] = self._executor.submit(
            on_worker, WSREG, str(Path.cwd()), fn, args, kwargs
        )
        return future


def on_worker(
    wanted: str, folder: str, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a function in a folder, where relative paths mean what they mean to the caller.

    Raises:
        InputError: this worker, which may have come later, has another wsreg, or does not see the
            folder.
    """
    if wanted != WSREG:
        raise InputError(f"workers must have wsreg {wanted}, got {WSREG} on one of them")
    if not os.path.isdir(folder):
        raise InputError(f"workers must see the folder {folder}, got one that does not")
    os.environ.setdefault("WSREG_THREADS", "1")
    with contextlib.chdir(folder):
        return fn(*args, **kwargs)
