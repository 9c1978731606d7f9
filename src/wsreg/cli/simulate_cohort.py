"""``wsreg simulate cohort``: virtual patients with CTs and X-rays, in DeepFluoro's file layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from wsreg.cli.batch import Scheduler
from wsreg.cli.console import progress_bar
from wsreg.errors import InputError
from wsreg.vocabulary import PresetName


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Make six virtual specimens and their X-rays, with true poses, labels and landmarks.

    A run that was stopped goes on where it was when started again.
    """

    out: Annotated[Path, arg(metavar="FILE.h5")]
    """HDF5 file to write."""
    preset: PresetName = "small"
    """small: 72 X-rays of 384 x 384 (minutes); paper: 366 of 1536 x 1536 (hours); tiny: a trial."""
    seed: int = 0
    """Seed of people, poses and noise; the same seed gives the same cohort."""
    specimens: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = ()
    """Only these, such as 17-1882."""
    xrays: int | None = None
    """X-rays of each specimen instead of the preset's number; the first ones stay the same."""
    workers: int | None = None
    """Processes; one for each core by default."""
    scheduler: Scheduler = None
    """Have it made by the workers of this Dask scheduler, which must see the same files."""
    force: bool = False
    """Replace the file if it is there."""
    quiet: bool = False
    """Print errors only."""

    def run(self) -> int:
        """Make the cohort and return the exit status."""
        from wsreg.cohort.build import build_cohort
        from wsreg.cohort.presets import PRESETS

        if self.out.exists() and not self.force:
            raise InputError(f"{self.out} is there already; name another file or pass --force")
        if self.out.suffix not in (".h5", ".hdf5"):
            raise InputError(f"out must end in .h5 or .hdf5, got {self.out}")
        with progress_bar("Cohort", quiet=self.quiet) as progress:
            build_cohort(
                self.out, PRESETS[self.preset], self.seed, self.specimens,
                xrays=self.xrays, workers=self.workers,
                scheduler=self.scheduler, progress=progress,
            )  # fmt: skip
        if not self.quiet:
            size_mb = self.out.stat().st_size / 1e6
            print(f"{self.out}: {size_mb:.0f} MB; wsreg inspect {self.out} shows what is in it")
        return 0
