"""The paper's tables on a cohort by ``wsreg reproduce all``, and what they took.

    python benchmarks/reproduction.py --cohort cohort.h5           # made where missing, then shown
    python benchmarks/reproduction.py --cohort cohort.h5 --write   # into docs/results.md

A run that was stopped goes on.  Hours of work are added up from what a task of each kind took, the
median, since one that was stopped tells only what it took after it had been begun again.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import tyro

from hardware import describe_hardware
from results_file import write_section
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.experiments.graph import graph
from wsreg.jobs.cache import Entry
from wsreg.jobs.progress import duration, seconds_left
from wsreg.jobs.task import recipes_of
from wsreg.vocabulary import PresetName

TABLES = (
    "table1", "table1-medians", "table1-tests", "table1-specimens", "table1-seconds",
    "table2", "table2-folds", "table2-regions", "table2-medians", "table2-tests",
    "table3", "table3-distances", "table3-medians", "table3-tests", "table3-seconds",
    "table3-gauss-newton", "table3-gauss-newton-distances", "table3-gauss-newton-medians",
    "table3-gauss-newton-tests", "table3-gauss-newton-seconds",
    "case-study", "case-study-medians", "case-study-seconds",
)  # fmt: skip
PACKAGES = ("torch", "numba", "wsreg")
SHOWN = "distributions.png"
IMAGES = Path(__file__).parent.parent / "docs" / "images"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to make.

    Args:
        cohort: file in DeepFluoro's layout.
        preset: how large.
        out: folder of the tables; results are kept in its folder cache.
        workers: processes.
        write: put the tables into docs/results.md, and a figure beside it.
    """

    cohort: Path
    preset: PresetName = "small"
    out: Path = Path(__file__).parent / "output" / "reproduce"
    workers: int = 2
    write: bool = False


def make(options: Options) -> None:
    """Run the command, as anyone would."""
    command = [
        sys.executable, "-m", "wsreg.cli.main", "reproduce", "all", "--data", str(options.cohort),
        "--preset", options.preset, "--out", str(options.out), "--workers", str(options.workers),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def hours(options: Options) -> str:
    """A table of what the tasks took, by kind, and how long all of them take."""
    with DeepFluoroFile(options.cohort) as file:
        tasks = graph("all", options.cohort, file.specimens, options.preset)
    cache = options.out.absolute() / "cache"
    taken: dict[str, list[float]] = defaultdict(list)
    for name, recipe in recipes_of(tasks).items():
        taken[_kind(name)].append(Entry(cache=cache, name=name, recipe=recipe).seconds())
    usual = {kind: statistics.median(seconds) for kind, seconds in taken.items()}
    costs = [dataclasses.replace(task, seconds=usual[_kind(task.name)]) for task in tasks]
    rows = [
        f"| {kind} | {len(taken[kind])} | {seconds:.0f} | {len(taken[kind]) * seconds / 60:.1f} |"
        for kind, seconds in sorted(usual.items())
    ]
    return "\n".join(
        (
            f"Nothing cached, all {len(tasks)} tasks take "
            f"{duration(sum(task.seconds for task in costs))} of one core, so "
            f"{duration(seconds_left(costs, {}, (), options.workers))} with --workers "
            f"{options.workers}, by what one of each kind took:",
            "",
            "| tasks | n | seconds, median | core minutes |\n|---|---:|---:|---:|",
            *rows,
        )
    )


def _kind(name: str) -> str:
    """The name of a task without its specimen, those of Table 3 and the figures together."""
    kind = re.sub(r"-\d\d-\d{4}$", "", name)
    for solver in ("adam", "gauss-newton"):
        if kind.startswith(f"trials-{solver}-"):
            which = "capture range" if "-from-" in kind else "Table 3"
            regions = ", with regions" if kind.endswith("-rois") else ""
            return f"{which}, {solver}{regions}"
    return kind


def report(options: Options) -> str:
    """All tables as markdown."""
    files = (options.out / f"{name}.md" for name in TABLES)
    return "\n\n".join(
        (
            f"### The paper's tables on `{options.cohort.name}`, preset `{options.preset}`",
            f"{describe_hardware(1, PACKAGES)}; --workers {options.workers}.",
            f"![Share of all X-rays that are nearer than so much](images/{SHOWN})",
            hours(options),
            *(file.read_text(encoding="utf-8").strip() for file in files if file.exists()),
        )
    )


def main(options: Options) -> None:
    """Make what is missing, print, and write where asked."""
    make(options)
    text = report(options)
    print(text)
    if options.write:
        shutil.copyfile(options.out / SHOWN, IMAGES / SHOWN)
        write_section(f"reproduction {options.cohort.stem} {options.preset}", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
