"""The paper's Table 1 and its case study, from trials.

Each is a few tables: the paper's columns beside honest ones, medians with intervals, paired tests,
every specimen by itself, and seconds.  The same trials give the same tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wsreg.experiments import cells
from wsreg.experiments.columns import (
    COUNTS,
    HONEST,
    INTERVAL_NOTE,
    INTERVALS,
    NOTES,
    PAPER,
    SECONDS,
    SECONDS_NOTE,
    Measure,
    Rows,
    measured_block,
    summary_of,
)
from wsreg.experiments.comparisons import tests_against_best
from wsreg.experiments.dice_tables import dice_cell
from wsreg.experiments.entries import Entry, of_specimen
from wsreg.experiments.published import CASE_STUDY, QUOTED, TABLE_1, Published
from wsreg.experiments.table import Block, Cell, Column, ResultTable

ALL = (*COUNTS, *PAPER, *HONEST)
DICE_NOTE = (
    "Dice of the network that finds regions in X-rays, and of the one that does in rendered images "
    "(here at their true poses), against the true masks."
)
BOX_NOTE = (
    "Methods with a MedSAM are told boxes around the true masks in the X-ray, moved by up to 10 of "
    "1024 pixels as a person's would be; the others are told nothing of the truth."
)
BOXED = ("wsreg-medsam", "wsreg-mixed")
"""Methods that are told them."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A scheme of segmentation in the case study.

    Args:
        entry: its registrations.
        dice_xray, dice_rendered: of each image, the mean over regions; may be empty.
    """

    entry: Entry
    dice_xray: Sequence[float] = ()
    dice_rendered: Sequence[float] = ()


def table_1(
    entries: Sequence[Entry], excluded: frozenset[tuple[str, str]] = frozenset()
) -> list[ResultTable]:
    """Return Table 1: methods, medians with intervals, paired tests, every specimen, seconds.

    Args:
        entries: at least one.
        excluded: (specimen, projection) of doubtful truth, which the last rows of the table of
            specimens leave out.
    """
    rows = [(entry.title, entry.trials) for entry in entries]
    none = [cells.text("")]
    quoted = [
        [cells.text(title), *none * len(COUNTS), *quoted_cells(row), *none * len(HONEST)]
        for title, row in TABLE_1.items()
    ]
    main = ResultTable(
        name="table1",
        title="The paper's Table 1: methods",
        columns=_columns("method", "Method", ALL),
        blocks=[measured_block(rows, ALL), Block(source="quoted", title=QUOTED, rows=quoted)],
        notes=[*NOTES, *_boxes_told(entries), *_different_xrays(entries)],
    )
    tests = tests_against_best("table1-tests", "The paper's Table 1: paired tests", entries)
    return [
        main,
        _medians("table1", "The paper's Table 1", rows),
        tests,
        _by_specimen(entries, excluded),
        _seconds("table1", "The paper's Table 1", rows),
    ]


def case_study(schemes: Sequence[Scheme], specimen: str = CASE_STUDY) -> list[ResultTable]:
    """Return the case study of one specimen: what segments, how well, and what comes of it.

    Raises:
        InputError: a scheme has no trials of the specimen.
    """
    own = [of_specimen(scheme.entry, specimen) for scheme in schemes]
    rows = [
        [
            cells.text(entry.title),
            dice_cell(scheme.dice_xray),
            dice_cell(scheme.dice_rendered),
            *(measure.cell(summary_of(entry.trials)) for measure in ALL),
        ]
        for scheme, entry in zip(schemes, own, strict=True)
    ]
    first, *others = _columns("scheme", "Scheme", ALL)
    dice = [
        Column(key="dice_xray", title="Dice, X-rays"),
        Column(key="dice_rendered", title="Dice, rendered"),
    ]
    signs = [0, 1, 1, *(measure.better for measure in ALL)]
    main = ResultTable(
        name="case-study",
        title=f"Case study: schemes of segmentation, {specimen}",
        columns=[first, *dice, *others],
        blocks=[Block(source="measured", title="", rows=cells.best_marked(rows, signs))],
        notes=[
            *NOTES,
            *_boxes_told(own),
            DICE_NOTE,
            "The paper shows this case in its Figure 5 and prints no numbers of it.",
        ],
    )
    medians = [(entry.title, entry.trials) for entry in own]
    title = f"Case study, {specimen}"
    return [main, _medians("case-study", title, medians), _seconds("case-study", title, medians)]


def _medians(name: str, title: str, rows: Rows) -> ResultTable:
    measures = (*COUNTS, *INTERVALS)
    return ResultTable(
        name=f"{name}-medians",
        title=f"{title}: medians and shares with 95 % intervals",
        columns=_columns("method", "Method", measures),
        blocks=[measured_block(rows, measures)],
        notes=[INTERVAL_NOTE, *NOTES[:2]],
    )


def _seconds(name: str, title: str, rows: Rows) -> ResultTable:
    return ResultTable(
        name=f"{name}-seconds",
        title=f"{title}: seconds",
        columns=_columns("method", "Method", (COUNTS[0], SECONDS)),
        blocks=[measured_block(rows, (COUNTS[0], SECONDS))],
        notes=[SECONDS_NOTE],
    )


def _by_specimen(entries: Sequence[Entry], excluded: frozenset[tuple[str, str]]) -> ResultTable:
    specimens = dict.fromkeys(name for entry in entries for name in entry.specimens)
    groups: dict[str, Rows] = {
        specimen: [
            (entry.title, of_specimen(entry, specimen).trials)
            for entry in entries if specimen in entry.specimens
        ]
        for specimen in specimens
    }  # fmt: skip
    if any(trial.key in excluded for entry in entries for trial in entry.trials):
        kept = [(e.title, [t for t in e.trials if t.key not in excluded]) for e in entries]
        groups["all but those of doubtful truth"] = [(title, some) for title, some in kept if some]
    blocks = [measured_block(rows, ALL, name, name) for name, rows in groups.items()]
    return ResultTable(
        name="table1-specimens",
        title="The paper's Table 1: every specimen",
        columns=_columns("method", "Method", ALL),
        blocks=blocks,
        notes=NOTES,
    )


def _columns(key: str, title: str, measures: Sequence[Measure]) -> list[Column]:
    return [Column(key=key, title=title), *(measure.column for measure in measures)]


def quoted_cells(row: Published) -> list[Cell]:
    """Return the four columns of the paper, as it prints them."""
    return [
        cells.quoted(row.mtre_mm),
        cells.share(row.srr),
        cells.quoted(row.re_deg),
        cells.quoted(row.te_mm),
    ]


def _boxes_told(entries: Sequence[Entry]) -> list[str]:
    """Say it where a method is told more than others."""
    return [BOX_NOTE] if any(entry.name in BOXED for entry in entries) else []


def _different_xrays(entries: Sequence[Entry]) -> list[str]:
    """Say it where methods were not tried on the same X-rays."""
    keys = {frozenset(trial.key for trial in entry.trials) for entry in entries}
    return [] if len(keys) < 2 else ["The methods were not tried on the same X-rays: see n."]
