"""Whole lines amid one that is not finished yet, a step's or a bar's, on standard error.

Whoever writes to ``sys.stderr`` meanwhile, a log or a thread, does not know of that one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO, cast

LOCK = threading.RLock()
"""Held by whoever draws."""


class Unfinished(Protocol):
    """A line that makes room for others; bars of tqdm are such."""

    def clear(self) -> object:
        """Make room."""

    def refresh(self) -> object:
        """Come back."""


_lines: list[Unfinished] = []


@contextmanager
def unfinished(line: Unfinished) -> Iterator[None]:
    """Have other lines come whole, and not into this one, in the block."""
    with LOCK:
        _lines.append(line)
    try:
        yield
    finally:
        with LOCK:
            _lines.remove(line)
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, _WholeLines):
                    stream.write("")


def below(stream: TextIO) -> TextIO:
    """Return the stream to which an unfinished line itself is written."""
    return stream.below if isinstance(stream, _WholeLines) else stream


@contextmanager
def whole_lines() -> Iterator[None]:
    """Let lines of both streams come whole, those of standard output if both are one terminal."""
    streams = sys.stdout, sys.stderr
    if sys.stderr is not None:
        if sys.stdout is not None and sys.stdout.isatty() and sys.stderr.isatty():
            sys.stdout = cast(TextIO, _WholeLines(sys.stdout))
        sys.stderr = cast(TextIO, _WholeLines(sys.stderr))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


class _WholeLines:
    """A stream that holds words back until their line is whole, as long as another is not.

    Args:
        stream: that it writes to.
    """

    def __init__(self, stream: TextIO) -> None:
        self.below = stream
        self._held = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)

    def write(self, text: str) -> int:
        """Write what is whole, or all where no line is unfinished."""
        with LOCK:
            held = self._held + text
            if not _lines:
                self._held = ""
                self.below.write(held)
                return len(text)
            whole, end, self._held = held.rpartition("\n")
            if end:
                _lines[-1].clear()
                self.below.write(whole + end)
                self.below.flush()
                _lines[-1].refresh()
        return len(text)
