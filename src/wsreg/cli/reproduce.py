"""``wsreg reproduce``: the paper's experiments on a data set, from training to tables."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from wsreg.cli.batch import Scheduler
from wsreg.errors import InputError
from wsreg.vocabulary import ExperimentName, PresetName

if TYPE_CHECKING:
    from wsreg.jobs.crew import Crew
    from wsreg.jobs.progress import Progress
    from wsreg.jobs.task import Task

SECONDS_OF_SILENCE = 600.0


@dataclass(frozen=True, kw_only=True)
class Reproduce:
    """Make the paper's tables and figures on a data set, leaving one specimen out.

    What is there already is not made again, so that a run may be stopped at any moment.
    """

    what: Positional[ExperimentName]
    """Which experiment; all of them share what they train and register."""
    data: Annotated[Path, arg(metavar="FILE.h5")]
    """DeepFluoro's file or a cohort."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder to write tables, figures and a report to; what they are made of is kept in its folder
    cache."""
    preset: PresetName = "small"
    """small: for two cores; paper: for a GPU; tiny: a trial of everything."""
    specimen: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = ()
    """Register these only; networks learn from the others all the same."""
    xrays: int | None = None
    """At most so many X-rays of each specimen, the first ones, instead of the preset's number."""
    workers: int | None = None
    """Processes on this machine; one for each core by default."""
    scheduler: Scheduler = None
    """Use the workers of this Dask scheduler, which must see the same files, instead."""
    yes: bool = False
    """Begin without a question, though it takes long."""
    quiet: bool = False
    """Print errors only."""

    def run(self) -> int:
        """Make what is missing and return the exit status."""
        from wsreg.files.lock import held_folder

        with held_folder(self.out):
            self._reproduce()
        return 0

    def _reproduce(self) -> None:
        from wsreg.experiments.graph import left_out
        from wsreg.experiments.results import ends_of, printed, write_results
        from wsreg.jobs.run import run
        from wsreg.methods.preset import PRESETS

        specimens = self._specimens()
        tasks = self._tasks(specimens)
        notes = left_out(self.what, specimens)
        for note in notes:
            self._say(note)
        self._ask(tasks)
        made = run(tasks, self.out / "cache", self._call, tell=self._teller(), say=self._say)
        report = write_results(
            self.what, tasks, made, self.out, data=self.data, preset=PRESETS[self.preset],
            asked={"specimens": list(specimens), "xrays": self.xrays}, notes=notes,
        )  # fmt: skip
        if not self.quiet:
            for name in ends_of(tasks):
                for text in printed(name, made.folders[name]):
                    print(text)
            print(f"Everything is in {self.out}; begin with {report}.")

    def _specimens(self) -> tuple[str, ...]:
        """Return those to register, when all that is asked for makes sense."""
        from wsreg.datasets.reader import DeepFluoroFile
        from wsreg.methods.run import check_specimens

        if self.xrays is not None and self.xrays < 1:
            raise InputError(f"--xrays must be at least 1, got {self.xrays}")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"--workers must be at least 1, got {self.workers}")
        if self.out.exists() and not self.out.is_dir():
            raise InputError(f"--out must be a folder, got the file {self.out}")
        with DeepFluoroFile(self.data) as file:
            return check_specimens(file, self.specimen, learnt=True)

    def _tasks(self, specimens: tuple[str, ...]) -> list[Task]:
        from wsreg.experiments.graph import graph

        return graph(
            self.what, self.data, specimens, self.preset, self.xrays,
            accelerated=self._accelerated(),
        )  # fmt: skip

    def _call(self) -> AbstractContextManager[Crew]:
        """Call the workers; those of this machine find the kernels compiled.

        What the first tasks took would tell less of the others otherwise.
        """
        from wsreg.jobs.crew import call_crew
        from wsreg.rendering.loading import load_kernels

        if self.scheduler in (None, "local"):
            load_kernels()
        return call_crew(self.scheduler, self.workers)

    def _accelerated(self) -> bool:
        """Tell whether trainings may have a GPU; workers elsewhere are thought to have one."""
        import torch

        return self.scheduler not in (None, "local") or torch.cuda.is_available()

    def _ask(self, tasks: Sequence[Task]) -> None:
        """Ask whether to make at the paper's size, without a GPU, what is missing."""
        from wsreg.experiments.estimates import disk_bytes
        from wsreg.jobs.progress import duration, seconds_left
        from wsreg.jobs.run import missing
        from wsreg.threads import usable_cores

        if self.preset != "paper" or self.yes or self._accelerated():
            return
        left = missing(tasks, self.out / "cache")
        if not left:
            return
        workers = self.workers or usable_cores()
        done = {task.name for task in tasks}.difference(task.name for task in left)
        time_needed = duration(seconds_left(tasks, {}, done, workers))
        text = (
            f"--preset paper without a GPU takes about {time_needed} with {workers} processes, "
            f"and {disk_bytes(left) / 1e9:.1f} GB in {self.out}"
        )
        if not sys.stdin.isatty():
            raise InputError(f"{text}; pass --yes to begin all the same")
        with contextlib.suppress(EOFError):  # the end of what is typed is no answer
            if input(f"{text}. Begin? [y/N] ").strip().lower() in ("y", "yes"):
                return
        raise InputError("nothing was begun")

    def _teller(self) -> Callable[[Progress], None]:
        """Return what says how far a run is, whenever a task is done and every ten minutes."""
        said, at = -1, 0.0

        def tell(progress: Progress) -> None:
            nonlocal said, at
            if progress.done != said or time.monotonic() - at > SECONDS_OF_SILENCE:
                said, at = progress.done, time.monotonic()
                self._say(progress.text)

        return tell

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(f"wsreg: {text}", file=sys.stderr)
