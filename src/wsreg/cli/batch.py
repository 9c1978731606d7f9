"""Many X-rays: one after the other here, or shared out among the workers of a scheduler."""

from __future__ import annotations

import functools
import sys
import uuid
from collections.abc import Callable, Hashable, Iterator, Sequence
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
        files: that it has written, by their names in its folder.
    """

    rows: tuple[Row, ...]
    text: str = ""
    warning: str = ""
    bad: bool = False
    files: tuple[str, ...] = ()

    def show(self, *, quiet: bool) -> None:
        """Print what is to be printed."""
        if self.warning:
            print(f"wsreg: {self.warning}", file=sys.stderr)
        if self.text and not quiet:
            print(self.text)


class Batch(Hashable, Protocol):
    """A command with several X-rays, which can be pickled."""

    @property
    def quiet(self) -> bool:
        """Tell whether only errors are printed."""

    def begin(self) -> Callable[[int], Outcome]:
        """Read what all X-rays need, and return what does one of them."""


def outcomes(
    batch: Batch,
    numbers: Sequence[int],
    *,
    scheduler: str | None,
    elsewhere: Batch,
    begun: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Outcome]]:
    """Yield the number of each X-ray and what becomes of it, in their order.

    Args:
        batch: the command, for this process.
        numbers: of the X-rays to be done.
        scheduler: whose workers share them; each reads what all need once.  None for here.
        elsewhere: the command as workers do it, who print nothing.
        begun: called before the first of them is written, when all that they need is read here.
    """
    if scheduler is None:
        outcome = batch.begin()
        begun()
        yield from ((number, outcome(number)) for number in numbers)
        return
    begun()
    from wsreg.jobs.crew import call_crew, done_by

    run = uuid.uuid4().hex
    with call_crew(scheduler) as crew:
        done = done_by(crew, _outcome, [(elsewhere, run, number) for number in numbers])
        yield from zip(numbers, done, strict=True)


def _outcome(item: tuple[Batch, str, int]) -> Outcome:
    batch, run, number = item
    return _begun(batch, run)(number)


@functools.lru_cache(maxsize=1)
def _begun(batch: Batch, run: str) -> Callable[[int], Outcome]:
    """Begin a batch once in a process, but anew for each run: files may have changed."""
    return batch.begin()
