"""What a person sees while a command works, on standard error."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def step(text: str, *, quiet: bool) -> Iterator[None]:
    """Name a piece of work when it begins, and its seconds when it is done."""
    if quiet:
        yield
        return
    print(f"{text} ...", end=" ", file=sys.stderr, flush=True)
    begin, outcome = time.perf_counter(), "stopped"
    try:
        yield
        outcome = f"{time.perf_counter() - begin:.1f} s"
    finally:
        print(outcome, file=sys.stderr, flush=True)


@contextmanager
def begun(work: Callable[[], T]) -> Iterator[Future[T]]:
    """Do some work on another thread meanwhile; a block that fails does not wait for it."""
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        yield pool.submit(work)
    finally:
        pool.shutdown(wait=False)


@contextmanager
def no_garbage_collected() -> Iterator[None]:
    """Import without looking for garbage, then leave what was imported out of later searches.

    Modules are hundreds of thousands of objects that stay: searching them takes a tenth of a
    second.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


@contextmanager
def progress_bar(text: str, *, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar on a terminal, moved by calls with (stage, done, total); it vanishes at the end.

    What the first call says is done was done by an earlier run: the time left is told by the rest.
    """
    from tqdm import tqdm

    only_on_terminal = None
    with tqdm(
        desc=text,
        leave=False,
        disable=True if quiet else only_on_terminal,
        bar_format="{desc} |{bar:30}| {n_fmt}/{total_fmt} {elapsed}, {remaining} left",
        mininterval=0.0,
        miniters=0,
        delay=1e-6,  # the bar stays away until it first moves
    ) as bar:
        moved = False

        def move(stage: str, done: int, total: int) -> None:
            nonlocal moved
            if done == 0:
                bar.reset()
            elif not moved:
                bar.initial = bar.n = bar.last_print_n = done
            moved = True
            bar.total = total
            bar.update(done - bar.n)

        yield move
