"""What a batch has finished, in a journal in its folder: a killed one goes on with --resume."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsreg.cli.batch import Batch, Outcome, outcomes
from wsreg.errors import InputError
from wsreg.files.hashes import sha256_of
from wsreg.files.journal import RowJournal, open_row_journal

if TYPE_CHECKING:
    from wsreg.outputs.csv_file import Row


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The journal of a batch.

    Args:
        path: of the journal.
        setup: what tells this batch from others, but for its X-rays; None for a single X-ray, of
            which no journal is kept.
        xrays: their files.
        folders: of their results, in the same order.
        resume: whether to go on with what is there.
    """

    path: Path
    setup: Mapping[str, Any] | None
    xrays: Sequence[Path]
    folders: Sequence[Path]
    resume: bool

    def outcomes(self) -> dict[int, Outcome]:
        """Return what is finished and as it was left, by the number of the X-ray.

        An X-ray that changed, or whose result did, is made again, as is one that had an error.

        Raises:
            InputError: the journal is of another batch.
        """
        if self.setup is None or not self.resume or not self.path.exists():
            return {}
        journal = open_row_journal(self.path, self.setup)
        rows = {str(row.get("name")): row for row in journal.rows}
        found = {}
        for number, folder in enumerate(self.folders):
            row = rows.get(folder.name)
            if row is not None and self._is_whole(row, number):
                outcome = _outcome_of(row)
                if outcome is not None:
                    found[number] = outcome
        return found

    def begin(self) -> RowJournal | None:
        """Return the journal to write to: the one that is there, or a new one."""
        if self.setup is None:
            return None
        if not self.resume:
            self.path.unlink(missing_ok=True)
        return open_row_journal(self.path, self.setup)

    def keep(self, journal: RowJournal, number: int, outcome: Outcome) -> None:
        """Note what became of an X-ray whose result is written."""
        if not outcome.files:
            return
        folder = self.folders[number]
        record = dataclasses.asdict(outcome) | {"rows": [_plain(row) for row in outcome.rows]}
        journal.append({
            **record,
            "name": folder.name,
            "xray": sha256_of(self.xrays[number]),
            "files": {name: sha256_of(folder / name) for name in outcome.files},
        })  # fmt: skip

    def _is_whole(self, row: Mapping[str, Any], number: int) -> bool:
        files = row.get("files")
        if not isinstance(files, dict) or not files:
            return False
        folder = self.folders[number]
        try:
            same = all(sha256_of(folder / name) == found for name, found in files.items())
            return same and sha256_of(self.xrays[number]) == row.get("xray")
        except InputError:
            return False  # one is gone


def check_resume(resume: bool, force: bool, count: int) -> None:
    """Check that there is a batch to go on with.

    Raises:
        InputError: there is one X-ray or rig only, or the batch is to be made anew as well.
    """
    if resume and force:
        raise InputError("--resume goes on with a batch and --force makes it anew, got both")
    if resume and count == 1:
        raise InputError("--resume is for several X-rays; one is made again whole, by --force")


def run_batch(
    batch: Batch,
    kept: Kept,
    *,
    scheduler: str | None,
    elsewhere: Batch,
    begun: Callable[[], None],
    write: Callable[[Sequence[Row]], None],
) -> int:
    """Do the X-rays of a batch that are not finished, and return the exit status.

    Args:
        batch, elsewhere, scheduler: as for :func:`wsreg.cli.batch.outcomes`.
        kept: what is finished.
        begun: called before anything is written, to take an earlier batch away.
        write: writes the table of all, after each X-ray, so that a stopped run leaves it.
    """
    found = kept.outcomes()
    if found and not batch.quiet:
        total = len(kept.folders)
        print(f"wsreg: {len(found)} of {total} X-rays are finished and stay", file=sys.stderr)
    left = [number for number in range(len(kept.folders)) if number not in found]
    journal: RowJournal | None = None

    def begin() -> None:
        nonlocal journal
        begun()
        journal = kept.begin()

    done = outcomes(batch, left, scheduler=scheduler, elsewhere=elsewhere, begun=begin)
    for number, outcome in done if left else ():
        outcome.show(quiet=batch.quiet)
        found[number] = outcome
        write(_rows(found))
        if journal is not None:
            kept.keep(journal, number, outcome)
    write(_rows(found))  # of which a kill may have left less
    return int(any(outcome.bad for outcome in found.values()))


def _rows(found: Mapping[int, Outcome]) -> list[Row]:
    return [row for number in sorted(found) for row in found[number].rows]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON can hold it and a table shows it."""
    return {
        name: f"{cell:.6g}" if isinstance(cell, float) and not math.isfinite(cell) else cell
        for name, cell in row.items()
    }


def _outcome_of(row: Mapping[str, Any]) -> Outcome | None:
    try:
        return Outcome(
            rows=tuple(map(dict, row["rows"])), text=str(row["text"]), bad=bool(row["bad"]),
            warning=str(row["warning"]), files=tuple(row["files"]),
        )  # fmt: skip
    except (LookupError, TypeError, ValueError):
        return None
