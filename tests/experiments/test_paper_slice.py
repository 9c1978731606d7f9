"""A slice of the ``paper`` preset from end to end: its sizes, few steps, few X-rays."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, cast

import pytest

from wsreg.cohort.build import build_cohort
from wsreg.cohort.presets import Preset as CohortPreset
from wsreg.experiments.figure_tasks import FIGURES
from wsreg.experiments.graph import graph
from wsreg.experiments.results import write_results
from wsreg.experiments.tasks import tables_in
from wsreg.jobs.crew import Crew
from wsreg.jobs.run import run
from wsreg.jobs.task import Task
from wsreg.methods.preset import PRESETS, Preset, paper_segmentation
from wsreg.methods.variants import CAPTURE_VARIANTS, SIMILARITY_VARIANTS
from wsreg.specimens.specimen import Detail
from wsreg.training.segmentation_config import Architecture, SegmentationConfig

OTHER, CASE = "17-1882", "18-2799"
PAPER_SIZED = CohortPreset(
    name="slice",
    xrays={OTHER: 1, CASE: 1},
    ct_mm=6.0,
    image_px=1536,
    detail=Detail(bone_mm=3.0, body_mm=6.0),
)
TABLES = (
    "table1", "table2", "table3", "table3-gauss-newton", "case-study",
    "table1-seconds", "table3-seconds", "case-study-seconds",
)  # fmt: skip
KEPT = {
    "adam-ssim", "adam-ssim-rois", "gauss-newton-multiscale-ncc",
    "gauss-newton-multiscale-ncc-rois", "adam-from-20-mm", "gauss-newton-from-20-mm",
}  # fmt: skip
"""Of the many registrations that differ in a name only."""


class InThisProcess(Executor):
    """Does everything at once, so that what a test replaces is replaced."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextlib.contextmanager
def this_process() -> Iterator[Crew]:
    yield Crew(executor=InThisProcess(), size=lambda: 1)


def two_steps(architecture: Architecture, xrays: int) -> SegmentationConfig:
    config = paper_segmentation(architecture, xrays)
    fit = dataclasses.replace(config.fit, steps=2, save_every=2)
    return dataclasses.replace(config, rendered_per_specimen=2, fit=fit)


def slice_of(paper: Preset) -> Preset:
    fit = dataclasses.replace(paper.encoder.fit, steps=1, save_every=1, batch=2)
    return dataclasses.replace(
        paper,
        adam_steps=2,
        capture_xrays=1,
        encoder=dataclasses.replace(paper.encoder, validated=1, fit=fit),
        segmentation=two_steps,
        accelerator="cpu",
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Task], Path]:
    """The graph, and the folder of all that it left."""
    folder = tmp_path_factory.mktemp("slice")
    data = folder / "cohort.h5"
    build_cohort(data, PAPER_SIZED, 0, (OTHER, CASE), workers=1)
    few = slice_of(PRESETS["paper"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(cast("MutableMapping[str, Preset]", PRESETS), "paper", few)
        for variants in (SIMILARITY_VARIANTS, CAPTURE_VARIANTS):
            for name in set(variants) - KEPT:
                patch.delitem(cast("MutableMapping[str, object]", variants), name)
        tasks = graph("all", data, (CASE,), "paper", 1)
        found = run(tasks, folder / "cache", this_process)
        write_results(
            "all", tasks, found, folder / "out", data=data, preset=few,
            asked={"specimens": [CASE], "xrays": 1},
        )  # fmt: skip
    return tasks, folder


def test_every_table_and_figure_is_there(made: tuple[list[Task], Path]) -> None:
    _, folder = made
    names = {path.name for path in (folder / "out").iterdir()}
    tables = {f"{name}.md" for name in TABLES}
    figures = {f"{name}{suffix}" for name in FIGURES for suffix in (".png", ".pdf")}
    assert names >= {*tables, *figures, "report.html"}
    assert not {"made.json", "tables.json"} & names


def test_the_report_has_all_of_it(made: tuple[list[Task], Path]) -> None:
    tasks, folder = made
    text = (folder / "out" / "report.html").read_text()
    assert text.count("data:image/png") == 7
    for words in ("Table 1: methods", "Table 2: Dice", "Table 3: similarities", "Case study"):
        assert words in text
    assert all(task.name in text for task in tasks)  # with its seconds


def test_table_3_and_the_case_study_have_numbers(made: tuple[list[Task], Path]) -> None:
    _, folder = made
    (results,) = (folder / "cache").glob("table3-*")
    rows = {table.name: table.blocks[0].rows for table in tables_in(results)}
    assert [row[0].text for row in rows["table3"]] == ["SSIM"]
    assert [row[0].text for row in rows["table3-gauss-newton"]] == ["mNCC"]
    (results,) = (folder / "cache").glob("case-study-*")
    schemes = tables_in(results)[0].blocks[0].rows
    assert len(schemes) == 3
    dice = [[cell.values["mean"] for cell in row[1:3]] for row in schemes]
    assert all(0.0 <= value <= 1.0 for row in dice for value in row)
    assert dice[2] == [dice[1][0], dice[0][1]]  # MedSAM in the X-ray, U-Net in the rendered image
