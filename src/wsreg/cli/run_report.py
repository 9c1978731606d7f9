"""``wsreg report``: what a folder of results holds as one HTML file."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from wsreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write a report on a folder that wsreg register wrote: an X-ray, a batch, a rig, a sequence.

    It is one HTML file with all pictures inside, which needs no network and no other file.
    """

    folder: Annotated[Positional[Path], arg(metavar="DIR")]
    """With the results; pictures that are there become part of the report."""
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    """File to write; report.html in the folder by default."""
    force: bool = False
    """Replace a file that is no report."""
    quiet: bool = False
    """Print errors only."""

    def run(self) -> int:
        """Write the report and return the exit status."""
        from wsreg.files.lock import held_folder
        from wsreg.outputs.run_report import REPORT_FILE

        inside = self.out is None and self.folder.is_dir()
        with held_folder(self.folder) if inside else nullcontext():
            _write(self.folder, self.out or self.folder / REPORT_FILE, self.force, self.quiet)
        return 0


def deliver_report(folder: Path, *, wanted: bool, force: bool, quiet: bool) -> None:
    """Write the report of a run, or remove that of an earlier one, which would show another.

    Raises:
        InputError: another file is in its place and ``force`` is not set.
    """
    from wsreg.outputs.run_report import REPORT_FILE, remove_run_report

    if wanted:
        _write(folder, folder / REPORT_FILE, force, quiet)
    else:
        remove_run_report(folder)


def _write(folder: Path, target: Path, force: bool, quiet: bool) -> None:
    from wsreg.outputs.report import is_report
    from wsreg.outputs.run_report import write_run_report

    if target.exists() and not is_report(target) and not force:
        raise InputError(
            f"{target} is there already and no report of wsreg; pass --force to replace it"
        )
    write_run_report(folder, target)
    if not quiet:
        print(f"report: {target}")
