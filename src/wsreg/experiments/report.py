"""The report of an experiment: tables, figures, settings, versions, hardware, in one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsreg.experiments.hardware import hardware, versions
from wsreg.experiments.table import Cell, ResultTable
from wsreg.outputs import report
from wsreg.outputs.report import Block, Facts, Folded, Part, Picture, Section, Sentences, Table
from wsreg.outputs.result_sections import inputs_part, json_text


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A part of an experiment, such as Table 1: its tables, and figures under them.

    Args:
        title: of the chapter.
        tables: in their order.
        figures: PNG files with what they show.
        notes: sentences before the tables.
    """

    title: str
    tables: Sequence[ResultTable] = ()
    figures: Sequence[Picture] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Run:
    """How an experiment was made.

    Args:
        configuration: all settings, in JSON's types.
        seconds: of each task, by its name.
        inputs: role -> ``name`` and ``sha256`` of a file.
        notes: what could not be made, and why.
        versions, hardware: of what it ran with; by default those of this process.
    """

    configuration: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=versions)
    hardware: Mapping[str, str] = field(default_factory=hardware)


def write_experiment_report(
    title: str, chapters: Sequence[Chapter], run: Run, path: str | Path
) -> None:
    """Write a report that needs no other file, whole or not at all.

    Raises:
        InputError: the file cannot be written, or a picture cannot be read.
    """
    report.write_report(title, experiment_sections(chapters, run), path)


def experiment_sections(chapters: Sequence[Chapter], run: Run) -> list[Section]:
    """Return a section for each chapter, and one on the run."""
    sections = [
        Section(title=chapter.title, anchor=f"chapter-{number}", parts=_chapter_parts(chapter))
        for number, chapter in enumerate(chapters, start=1)
    ]
    return [*sections, Section(title="Run", anchor="run", parts=_run_parts(run))]


def table_parts(table: ResultTable) -> list[Part]:
    """Return a part for each block of a table; its notes are below the last one."""
    parts = []
    for number, block in enumerate(table.blocks):
        title = table.title if number == 0 else ""
        titles = [words for words in (title, block.title) if words]
        blocks: list[Block] = [
            Table(
                columns=[column.title for column in table.columns],
                rows=[[_cell(cell) for cell in row] for row in block.rows],
                numbers=frozenset(range(1, len(table.columns))),
            )
        ]
        if table.notes and number == len(table.blocks) - 1:
            blocks.append(Sentences(items=table.notes))
        parts.append(Part(title=". ".join(titles), blocks=blocks))
    return parts


def _chapter_parts(chapter: Chapter) -> list[Part]:
    notes = [Part(title="", blocks=(Sentences(items=chapter.notes),))] if chapter.notes else []
    tables = [part for table in chapter.tables for part in table_parts(table)]
    figures = [Part(title="Figures", blocks=chapter.figures)] if chapter.figures else []
    return [*notes, *tables, *figures]


def _run_parts(run: Run) -> list[Part]:
    rows = [(name, f"{seconds:.1f}") for name, seconds in run.seconds.items()]
    total = {"All tasks": f"{sum(run.seconds.values()):.0f} s of work, on whichever processes"}
    settings = Folded(title="Settings", text=json_text(dict(run.configuration)))
    tasks = Table(columns=("Task", "Seconds"), rows=rows, numbers=frozenset({1}))
    parts = [
        Part(title="Notes", blocks=(Sentences(items=run.notes),) if run.notes else ()),
        Part(title="Hardware", blocks=(Facts(values=run.hardware),)),
        inputs_part({"inputs": run.inputs, "versions": run.versions}),
        Part(title="Seconds", blocks=(Facts(values=total), tasks) if rows else ()),
        Part(title="Details", blocks=(settings,) if run.configuration else ()),
    ]
    return [part for part in parts if part.blocks]


def _cell(cell: Cell) -> report.Cell:
    return report.Strong(strong=cell.text) if cell.best else cell.text
