"""``wsreg reproduce``: the paper's experiments on a data set, from training to tables."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from wsreg.cli.batch import Scheduler
from wsreg.errors import InputError
from wsreg.vocabulary import ExperimentName, PresetName

if TYPE_CHECKING:
    from wsreg.jobs.progress import Progress
    from wsreg.jobs.run import Made
    from wsreg.jobs.task import Task

SECONDS_OF_SILENCE = 600.0


@dataclass(frozen=True, kw_only=True)
class Reproduce:
    """Make the paper's tables on a data set: train, register, tabulate, leaving one specimen out.

    What is there already is not made again, so that a run may be stopped at any moment.
    """

    what: Positional[ExperimentName]
    """Which experiment."""
    data: Annotated[Path, arg(metavar="FILE.h5")]
    """DeepFluoro's file or a cohort."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder to write tables to; what they are made of is kept in its folder cache."""
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
        from wsreg.jobs.crew import call_crew
        from wsreg.jobs.run import run

        tasks = self._tasks()
        self._ask(tasks)
        call = functools.partial(call_crew, self.scheduler, self.workers)
        made = run(tasks, self.out / "cache", call, tell=self._teller(), say=self._say)
        self._write(tasks, made)

    def _tasks(self) -> list[Task]:
        from wsreg.datasets.reader import DeepFluoroFile
        from wsreg.experiments.graph import graph
        from wsreg.methods.run import check_specimens

        if self.xrays is not None and self.xrays < 1:
            raise InputError(f"--xrays must be at least 1, got {self.xrays}")
        with DeepFluoroFile(self.data) as file:
            specimens = check_specimens(file, self.specimen, learnt=True)
        return graph(self.what, self.data, specimens, self.preset, self.xrays)

    def _ask(self, tasks: Sequence[Task]) -> None:
        """Ask whether to train at the paper's size without a GPU."""
        import torch

        from wsreg.jobs.progress import duration, seconds_left

        elsewhere = self.scheduler not in (None, "local")
        if self.preset != "paper" or self.yes or elsewhere or torch.cuda.is_available():
            return
        least = duration(seconds_left(tasks, {}, (), 1))
        text = f"--preset paper without a GPU takes far more than the {least} of --preset small"
        if not sys.stdin.isatty():
            raise InputError(f"{text}; pass --yes to begin all the same")
        if input(f"{text}. Begin? [y/N] ").strip().lower() not in ("y", "yes"):
            raise InputError("nothing was begun")

    def _write(self, tasks: Sequence[Task], made: Made) -> None:
        """Put tables where people look for them."""
        from wsreg.files.whole import copy_file

        needed = {name for task in tasks for name in task.needs}
        for name in (task.name for task in tasks if task.name not in needed):
            for path in sorted(made.folders[name].glob(f"{name}*")):
                target = self.out / path.name
                if not target.exists() or path.read_bytes() != target.read_bytes():
                    copy_file(path, target)
            if not self.quiet:
                print((self.out / f"{name}.md").read_text(encoding="utf-8"))

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
