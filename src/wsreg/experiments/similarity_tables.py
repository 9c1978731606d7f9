"""The paper's Table 3, similarities without and with the overlap of regions, from trials."""

from __future__ import annotations

import dataclasses
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
    summary_of,
)
from wsreg.experiments.comparisons import TESTED, tests_table
from wsreg.experiments.entries import Entry
from wsreg.experiments.published import QUOTED, TABLE_3
from wsreg.experiments.table import Block, Cell, Column, ResultTable
from wsreg.experiments.tables import quoted_cells

WITHOUT, WITH = "−", "+"
"""The overlap of regions in the loss, as the paper marks it."""


@dataclass(frozen=True, kw_only=True)
class SimilarityPair:
    """A similarity without and with the overlap of regions in the loss."""

    title: str
    without: Entry
    with_rois: Entry


def table_3(
    pairs: Sequence[SimilarityPair], name: str = "table3", solver: str = "Adam"
) -> list[ResultTable]:
    """Return Table 3: both kinds of columns, medians, tests of + against -, seconds.

    Args:
        pairs: at least one.
        name: of the first table; the others' begin with it.
        solver: by which all were minimised; the paper's numbers stand beside Adam's.
    """
    title = "The paper's Table 3"
    what = f"similarities without ({WITHOUT}) and with ({WITH}) the overlap of regions, by {solver}"
    main = _of_pairs(name, f"{title}: {what}", pairs, (*COUNTS, *PAPER), (NOTES[0], NOTES[2]))
    if solver == "Adam":
        main = dataclasses.replace(main, blocks=[*main.blocks, _quoted_block()])
    distances = (*COUNTS, *HONEST)
    return [
        main,
        _of_pairs(f"{name}-distances", f"{title}: distances and failures, {what}", pairs,
                  distances, NOTES[1:]),
        _of_pairs(f"{name}-medians", f"{title}: medians with 95 % intervals, {what}", pairs,
                  (*COUNTS, *INTERVALS), (INTERVAL_NOTE, *NOTES[:2])),
        tests_table(f"{name}-tests", f"{title}: paired tests of regions, by {solver}",
                    _tested(pairs)),
        _of_pairs(f"{name}-seconds", f"{title}: seconds, by {solver}", pairs, (SECONDS,),
                  (SECONDS_NOTE,)),
    ]  # fmt: skip


def _of_pairs(
    name: str,
    title: str,
    pairs: Sequence[SimilarityPair],
    measures: Sequence[Measure],
    notes: Sequence[str],
) -> ResultTable:
    """Return a table with each column twice, without and with regions."""
    sides = ((WITHOUT, "without"), (WITH, "with"))
    columns = [
        Column(key="similarity", title="Similarity"),
        *(
            Column(key=f"{m.column.key}_{side}", title=f"{m.column.title} {sign}")
            for m in measures for sign, side in sides
        ),
    ]  # fmt: skip
    block = _block(pairs, measures)
    return ResultTable(name=name, title=title, columns=columns, blocks=[block], notes=notes)


def _block(pairs: Sequence[SimilarityPair], measures: Sequence[Measure]) -> Block:
    rows = []
    for pair in pairs:
        both = [summary_of(entry.trials) for entry in (pair.without, pair.with_rois)]
        made = [measure.cell(found) for measure in measures for found in both]
        rows.append([cells.text(pair.title), *made])
    signs = [0, *(measure.better for measure in measures for _ in range(2))]
    return Block(source="measured", title="", rows=cells.best_marked(rows, signs))


def _quoted_block() -> Block:
    none = [cells.text("")] * 2 * len(COUNTS)
    rows = [
        [cells.text(title), *none, *_interleaved(*map(quoted_cells, both))]
        for title, both in TABLE_3.items()
    ]
    return Block(source="quoted", title=QUOTED, rows=rows)


def _tested(pairs: Sequence[SimilarityPair]) -> list[tuple[Entry, Entry, str]]:
    """Return (with regions, without, distance) of all that is tested."""
    return [
        (_titled(pair.with_rois, pair.title, WITH), _titled(pair.without, pair.title, WITHOUT), d)
        for pair in pairs for d in TESTED
    ]  # fmt: skip


def _titled(entry: Entry, title: str, sign: str) -> Entry:
    return dataclasses.replace(entry, title=f"{title} {sign}")


def _interleaved(first: Sequence[Cell], second: Sequence[Cell]) -> list[Cell]:
    return [cell for pair in zip(first, second, strict=True) for cell in pair]
