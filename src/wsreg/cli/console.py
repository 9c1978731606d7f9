"""What a person sees while a command works, on standard error."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar, cast

from wsreg.cli.whole_lines import LOCK, below, unfinished
from wsreg.errors import InputError

T = TypeVar("T")

SECONDS_OF_SILENCE = 30.0
"""After which a line says how far work is, where there is no terminal to show a bar."""


@contextmanager
def step(text: str, *, quiet: bool) -> Iterator[None]:
    """Name a piece of work when it begins, and its seconds when it is done."""
    if quiet:
        yield
        return
    line = _StepLine(text)
    with unfinished(line):
        begin, outcome = time.perf_counter(), "stopped"
        try:
            yield
            outcome = f"{time.perf_counter() - begin:.1f} s"
        finally:
            line.finish(outcome)


class _StepLine:
    """The line of a step, which is said again, whole, when another line came before its end."""

    def __init__(self, text: str) -> None:
        self._text, self._stream, self._alone = text, below(sys.stderr), True
        print(f"{text} ...", end=" ", file=self._stream, flush=True)

    def clear(self) -> None:
        if self._alone:
            print(file=self._stream, flush=True)
        self._alone = False

    def refresh(self) -> None:
        pass

    def finish(self, outcome: str) -> None:
        with LOCK:
            words = outcome if self._alone else f"{self._text} ... {outcome}"
            print(words, file=self._stream, flush=True)


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
    """Show how far work is, by calls with (stage, done, total): a bar that vanishes at the end.

    Where standard error is no terminal, a line now and then instead.  What the first call says is
    done was done by an earlier run: the time left is told by the rest.
    """
    if quiet:
        yield lambda stage, done, total: None
    elif not sys.stderr.isatty():
        yield _teller(text)
    else:
        with _bar(text) as move:
            yield move


@contextmanager
def _bar(text: str) -> Iterator[Callable[[str, int, int], None]]:
    from tqdm import tqdm

    with (
        contextlib.ExitStack() as stack,
        tqdm(
            desc=text,
            file=below(sys.stderr),
            dynamic_ncols=True,  # else it asks for the width of sys.stderr alone
            leave=False,
            bar_format="{desc} |{bar:30}| {n_fmt}/{total_fmt} {elapsed}, {remaining} left",
            mininterval=0.0,
            miniters=0,
            delay=1e-6,  # the bar stays away until it first moves
        ) as bar,
    ):
        moved = False

        def move(stage: str, done: int, total: int) -> None:
            nonlocal moved
            if not moved:
                stack.enter_context(unfinished(bar))
            with LOCK:
                if done == 0:
                    bar.reset()
                elif not moved:
                    bar.initial = bar.n = bar.last_print_n = done
                moved = True
                bar.total = total
                bar.update(done - bar.n)

        yield move


def _teller(text: str) -> Callable[[str, int, int], None]:
    """Return what prints a line whenever nothing was said for ``SECONDS_OF_SILENCE``."""
    begin = said = time.monotonic()
    first: int | None = None

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal begin, said, first
        now = time.monotonic()
        if first is None or done < first:
            begin, first = now, done
        if now - said < SECONDS_OF_SILENCE:
            return
        said = now
        line = f"wsreg: {text}: {done} of {total} ({stage}), {_in_words(now - begin)}"
        if first < done < total:
            line += f", about {_in_words((now - begin) * (total - done) / (done - first))} left"
        print(line, file=sys.stderr, flush=True)

    return tell


def _in_words(seconds: float) -> str:
    from wsreg.jobs.progress import duration

    return duration(seconds)


@contextmanager
def readers_may_leave() -> Iterator[None]:
    """Go on working, without a word, when who reads the output has left, as ``head`` does.

    Messages that cannot be written are dropped; results on standard output are not.

    Raises:
        InputError: in the block, standard output is on a disk that is full, say.
    """
    streams = sys.stdout, sys.stderr
    sys.stdout = _leavable(sys.stdout, drops=BrokenPipeError)
    sys.stderr = _leavable(sys.stderr, drops=OSError)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = streams


def _leavable(stream: TextIO, *, drops: type[OSError]) -> TextIO:
    """Return a stream like another, which is None where there is none, but without broken pipes."""
    return stream if stream is None else cast(TextIO, _Leavable(stream, drops))


class _Leavable:
    """A stream that leads nowhere once its reader is gone.

    Args:
        stream: that it writes to.
        drops: the errors at which nothing is said.
    """

    def __init__(self, stream: TextIO, drops: type[OSError]) -> None:
        self._stream, self._drops = stream, drops

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop what nobody reads."""
        with self._leaving():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        with self._leaving():
            self._stream.flush()

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            if not isinstance(error, self._drops):
                raise InputError(f"cannot write to standard output: {error.strerror}") from error
