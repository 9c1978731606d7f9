"""Who does the work: processes of this machine, or a Dask cluster.

Both are a :class:`concurrent.futures.Executor` to whoever gives out work.  What a process that
died had in hand is done again by another.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from wsreg.errors import InputError
from wsreg.threads import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

INSTALL = 'pip install "wsreg[cluster]"'


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Workers that are there.

    Args:
        executor: that gives them work.
        size: returns how many work at a time; it may change.
    """

    executor: Executor
    size: Callable[[], int]


Call = Callable[[], AbstractContextManager[Crew]]
"""Calls workers together when there is work for them, and sends them home after it."""


@contextmanager
def call_crew(scheduler: str | None = None, processes: int | None = None) -> Iterator[Crew]:
    """Give workers: of a Dask scheduler, or else processes of one thread each on this machine.

    The processes are Dask's where it is installed, a plain pool otherwise.

    Args:
        scheduler: address of a Dask scheduler, such as ``tcp://host:8786``; ``local`` or None for
            processes on this machine.
        processes: how many on this machine; one for each usable core if None.

    Raises:
        InputError: Dask is not installed, the scheduler cannot be reached, or its workers are not
            of this wsreg; fewer than one process.
    """
    scheduler = None if scheduler == "local" else scheduler
    count = usable_cores() if processes is None else processes
    if count < 1:
        raise InputError(f"processes must be at least 1, got {count}")
    if importlib.util.find_spec("distributed") is not None:
        from wsreg.jobs.dask_crew import dask_crew

        with dask_crew(scheduler, count) as crew:
            yield crew
        return
    if scheduler is not None:
        raise InputError(f"--scheduler {scheduler} needs Dask: {INSTALL}")
    from wsreg.jobs.process_pool import ProcessPool

    with ProcessPool(count) as pool:
        yield Crew(executor=pool, size=lambda: count)


def done_by(
    crew: Crew, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Yield what a function makes of each item, in their order, as soon as it is there.

    Args:
        crew: who does it.
        function: defined in a module, so that another process can import it.
        items: what it is called with; they must be picklable, as must its results.

    Raises:
        Exception: what the function raises; nothing is begun after that.
    """
    futures: list[Future[Result]] = [crew.executor.submit(function, item) for item in items]
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()
