"""Paired tests as a table."""

from __future__ import annotations

from collections.abc import Sequence

from wsreg.experiments import cells
from wsreg.experiments.columns import NOTES
from wsreg.experiments.entries import Entry
from wsreg.experiments.statistics import PairedTest, best_reference, holm, paired_test
from wsreg.experiments.table import Cell, ResultTable, measured_table

TESTED = {
    "mtre_diffpose_mm": "mTRE† (mm)",
    "mpd_mm": "projected (mm)",
    "mtre_3d_mm": "3D (mm)",
    "re_deg": "rotation, geodesic (°)",
    "te_mm": "translation at the CT's centre (mm)",
}
"""Distances that methods are compared by, and how tables call them."""

NOTE = (
    "Wilcoxon's signed-rank test on the X-rays that both have tried, two-sided, failures further "
    "off than anything; the last column has Holm's correction over this table. X-rays of a "
    "specimen are not independent of each other, which makes p-values too small."
)

_COLUMNS = {
    "method": "Method", "reference": "Against", "distance": "Distance", "pairs": "n",
    "better": "Nearer", "worse": "Further", "difference": "Median difference", "p": "p",
    "p_holm": "p, Holm",
}  # fmt: skip


def tests_against_best(name: str, title: str, entries: Sequence[Entry]) -> ResultTable:
    """Return tests of each entry against the best one of an earlier role, if there is one.

    The best one is chosen for each distance by itself.
    """
    pairs = [
        (entry, best_reference(entry, entries, distance), distance)
        for entry in entries for distance in TESTED
    ]  # fmt: skip
    return tests_table(
        name, title, [(own, other, distance) for own, other, distance in pairs if other]
    )


def tests_table(name: str, title: str, pairs: Sequence[tuple[Entry, Entry, str]]) -> ResultTable:
    """Return a row for each (method, reference, distance).

    Raises:
        InputError: two entries have no X-ray in common.
    """
    tests = [paired_test(own, other, distance) for own, other, distance in pairs]
    adjusted = holm([test.p_value for test in tests])
    rows = [
        [cells.text(own.title), cells.text(other.title), *_cells(test, p)]
        for (own, other, _), test, p in zip(pairs, tests, adjusted, strict=True)
    ]
    return measured_table(name, title, _COLUMNS, rows, [NOTE, NOTES[0]])


def _cells(test: PairedTest, adjusted: float) -> list[Cell]:
    return [
        cells.text(TESTED[test.distance]),
        *cells.paired(
            test.pairs, test.better, test.worse, test.median_difference, test.p_value, adjusted
        ),
    ]
