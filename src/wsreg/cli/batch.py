"""Many X-rays: one after the other here, or shared out among the workers of a scheduler."""

from __future__ import annotations

import functools
import sys
import uuid
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from tyro.conf import arg

if TYPE_CHECKING:
    from wsreg.outputs.csv_file import Row

Scheduler = Annotated[str | None, arg(metavar="tcp://HOST:PORT|local")]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an X-ray.

    Args:
        rows: of it, for the table of all.
        text: what a person should read on standard output.
        warning: a sentence for standard error.
        bad: whether the exit status tells of it.
    """

    rows: tuple[Row, ...]
    text: str = ""
    warning: str = ""
    bad: bool = False

    def show(self, *, quiet: bool) -> None:
        """Print what is to be printed."""
        if self.warning:
            print(f"wsreg: {self.warning}", file=sys.stderr)
        if self.text and not quiet:
            print(self.text)


class Batch(Hashable, Protocol):
    """A command with several X-rays, which can be pickled."""

    def begin(self) -> Callable[[int], Outcome]:
        """Read what all X-rays need, and return what does one of them."""


def outcomes(
    batch: Batch, count: int, *, scheduler: str | None, elsewhere: Batch
) -> Iterator[Outcome]:
    """Yield what becomes of each X-ray, in their order.

    Args:
        batch: the command, for this process.
        count: of X-rays.
        scheduler: whose workers share them; each reads what all need once.  None for here.
        elsewhere: the command as workers do it, who print nothing.
    """
    if scheduler is None:
        yield from map(batch.begin(), range(count))
        return
    from wsreg.jobs.crew import call_crew, done_by

    run = uuid.uuid4().hex
    with call_crew(scheduler) as crew:
        yield from done_by(crew, _outcome, [(elsewhere, run, number) for number in range(count)])


def _outcome(item: tuple[Batch, str, int]) -> Outcome:
    batch, run, number = item
    return _begun(batch, run)(number)


@functools.lru_cache(maxsize=1)
def _begun(batch: Batch, run: str) -> Callable[[int], Outcome]:
    """Begin a batch once in a process, but anew for each run: files may have changed."""
    return batch.begin()
