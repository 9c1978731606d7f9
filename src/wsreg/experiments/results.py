"""What a run leaves for people: tables and figures beside the cache, and a report of them."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsreg.experiments.figure_tasks import FIGURES
from wsreg.experiments.report import Chapter, Run, write_experiment_report
from wsreg.experiments.tasks import TABLES_FILE, tables_in
from wsreg.files.whole import staged_file
from wsreg.jobs.cache import RECORD_FILE
from wsreg.jobs.run import Made
from wsreg.jobs.task import Task
from wsreg.methods.artefact import data_sha256
from wsreg.methods.preset import Preset
from wsreg.outputs.report import Picture
from wsreg.vocabulary import ExperimentName

CHAPTERS = {
    "table1": "Table 1: methods",
    "table2": "Table 2: Dice of the networks",
    "table3": "Table 3: similarities",
    "case-study": "Case study: schemes of segmentation",
}
FIGURES_CHAPTER = "Figures"
_OURS = (RECORD_FILE, TABLES_FILE)
"""Files that are no result to people."""


def ends_of(tasks: Sequence[Task]) -> tuple[str, ...]:
    """Return the names of the tasks that nothing needs: what an experiment is made for."""
    needed = {name for task in tasks for name in task.needs}
    return tuple(task.name for task in tasks if task.name not in needed)


def write_results(
    what: ExperimentName,
    tasks: Sequence[Task],
    made: Made,
    out: Path,
    *,
    data: Path,
    preset: Preset,
    asked: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> Path:
    """Put tables and figures where people look for them, with a report of them.

    What is there and the same is left alone.  The report is written first, so that one of older
    results does not outlive a run that was stopped here.

    Args:
        what: the experiment.
        tasks: of its graph.
        made: their results.
        out: a folder.
        data: the data set.
        preset: how large.
        asked: what else was asked for, in JSON's types: specimens, and how many X-rays of each.
        notes: sentences for the report.

    Returns:
        The report.

    Raises:
        InputError: the folder cannot be written.
    """
    ends = ends_of(tasks)
    files = [path for name in ends for path in result_files(made.folders[name])]
    stale = [path for path in files if not _same(path, out / path.name)]
    report = out / ("report.html" if what == "all" else f"report-{what}.html")
    if stale or made.new or not report.exists():
        run = Run(
            configuration={"experiment": what, "asked": dict(asked), **_settings(preset)},
            seconds=made.seconds,
            inputs={"data": {"name": data.name, "sha256": data_sha256(data)}},
            notes=[*notes, "Hardware and versions are those of the machine that wrote this."],
        )
        chapters = _chapters({name: made.folders[name] for name in ends})
        write_experiment_report(
            f"Reproduction: {what}, preset {preset.name}", chapters, run, report
        )
    for path in stale:
        with staged_file(out / path.name) as temporary:
            shutil.copyfile(path, temporary)
    return report


def result_files(folder: Path) -> list[Path]:
    """Return what people look at of a result."""
    return sorted(path for path in folder.iterdir() if path.name not in _OURS)


def printed(name: str, folder: Path) -> list[str]:
    """Return the tables of a result that are printed: the first one, its twin and the seconds."""
    files = (folder / f"{name}{part}.md" for part in ("", "-gauss-newton", "-seconds"))
    return [file.read_text(encoding="utf-8") for file in files if file.exists()]


def _same(path: Path, other: Path) -> bool:
    return other.exists() and filecmp.cmp(path, other, shallow=False)


def _chapters(folders: Mapping[str, Path]) -> list[Chapter]:
    """Return a chapter for each table that was made, and one of all figures."""
    tables = [
        Chapter(title=title, tables=tables_in(folders[name]))
        for name, title in CHAPTERS.items() if name in folders
    ]  # fmt: skip
    figures = [
        Picture(path=folders[name] / f"{name}.png", caption=caption)
        for name, caption in FIGURES.items() if name in folders
    ]  # fmt: skip
    return [*tables, *([Chapter(title=FIGURES_CHAPTER, figures=figures)] if figures else [])]


def _settings(preset: Preset) -> dict[str, Any]:
    """Return all settings of a preset, in JSON's types."""
    begun = preset.begin_with
    return {
        **preset.record(),
        "xrays": preset.xrays,
        "similarity_xrays": preset.similarity_xrays,
        "capture_xrays": preset.capture_xrays,
        "encoder": {
            **preset.training_record("encoder"),
            "begin_with": None if begun is None else begun.name,
        },
        "unet": preset.training_record("unet"),
        "medsam": preset.training_record("medsam"),
    }
