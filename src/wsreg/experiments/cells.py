"""Numbers as cells of a table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from wsreg.experiments.statistics import DistanceSummary, Interval, Summary
from wsreg.experiments.table import Cell

Measured = Callable[[Summary], Cell]
"""Makes a cell of what was measured."""


def number(value: float, digits: int = 2) -> str:
    """Return a number as tables print it; one that is not known is a dash."""
    if math.isnan(value):
        return "–"
    size = "∞" if math.isinf(value) else f"{abs(value):.{digits}f}"
    return f"−{size}" if value < 0 and size.strip("0.") else size


def text(words: str) -> Cell:
    """Return words, or nothing, as a cell."""
    return Cell(text=words)


def count(value: int) -> Cell:
    """Return a whole number as a cell."""
    return Cell(text=str(value), values={"count": value})


def mean_sd(mean: float, sd: float, *, measured: int | None = None, digits: int = 2) -> Cell:
    """Return mean and standard deviation; ``measured`` is told where it is not all trials."""
    of = "" if measured is None else f" (of {measured})"
    shown = f"{number(mean, digits)} ± {number(sd, digits)}{of}" if not math.isnan(mean) else "–"
    return Cell(text=shown, values={"mean": mean, "sd": sd})


def quoted(printed: str) -> Cell:
    """Return what a publication prints as ``mean ± standard deviation``, with its digits."""
    mean, sd = printed.split(" ± ")
    return Cell(text=printed, values={"mean": float(mean), "sd": float(sd)})


def share(value: float, interval: Interval | None = None) -> Cell:
    """Return a fraction in percent, with its interval where there is one."""
    if interval is None:
        return Cell(text=_percent(value), values={"share": value})
    low, high = interval
    return Cell(
        text=f"{_percent(value)} [{_percents(low)}, {_percents(high)}]",
        values={"share": value, "low": low, "high": high},
    )


def with_interval(value: float, interval: Interval, name: str, digits: int = 2) -> Cell:
    """Return a number with its interval; ``name`` is what the CSV file calls it."""
    low, high = interval
    return Cell(
        text=f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]",
        values={name: value, "low": low, "high": high},
    )


def p_value(value: float) -> Cell:
    """Return a p-value as it is usually printed."""
    shown = "< 0.001" if value < 0.001 else f"{value:.3f}"
    return Cell(text=shown, values={"p": value})


def mean_of(distance: str, digits: int = 2) -> Measured:
    """Return what makes mean and standard deviation of a distance."""

    def cell(found: Summary) -> Cell:
        s = found.distances[distance].statistics
        some = s.measured if s.measured < found.trials else None
        made = mean_sd(s.mean, s.standard_deviation, measured=some, digits=digits)
        return dataclasses.replace(made, values={**made.values, "measured": s.measured})

    return cell


def median_of(distance: str, digits: int = 2) -> Measured:
    """Return what makes median and interval of a distance, failures infinitely far off."""

    def cell(found: Summary) -> Cell:
        of: DistanceSummary = found.distances[distance]
        return with_interval(of.statistics.median, of.median, "median", digits)

    return cell


def under_1_of(distance: str, *, interval: bool = False) -> Measured:
    """Return what makes the share of all trials under 1 mm."""

    def cell(found: Summary) -> Cell:
        of = found.distances[distance]
        return share(of.statistics.under_1, of.under_1 if interval else None)

    return cell


def gross_failures(*, interval: bool = False) -> Measured:
    """Return what makes the share of gross failures."""
    return lambda found: share(found.gfr, found.gfr_interval if interval else None)


def seconds(found: Summary) -> Cell:
    """Return the median wall time of a trial."""
    return Cell(text=number(found.median_seconds), values={"median": found.median_seconds})


def paired(
    pairs: int, better: int, worse: int, difference: float, p: float, adjusted: float
) -> list[Cell]:
    """Return a paired test: counts, the median difference, its p-value, and that of Holm."""
    return [
        count(pairs),
        count(better),
        count(worse),
        Cell(text=number(difference, 3), values={"median": difference}),
        p_value(p),
        p_value(adjusted),
    ]


def best_marked(rows: Sequence[Sequence[Cell]], better: Sequence[int]) -> list[list[Cell]]:
    """Return rows with the best of each column marked, ties as printed included.

    A mean that leaves failures out is never the best.  One row has no best, nor have rows of which
    none is worse.

    Args:
        rows: cells of equal columns.
        better: for each column 1 where more is better, -1 where less is, 0 where nothing is.
    """
    marked = [list(row) for row in rows]
    for column, sign in enumerate(better):
        ranked = [_rank(row[column], sign) for row in rows]
        best = max(ranked, default=-math.inf)
        if sign == 0 or len(rows) < 2 or best == -math.inf:
            continue
        shown = {row[column].text.split(" ")[0] for row, r in zip(rows, ranked, strict=True)
                 if r == best}  # fmt: skip
        among = [rank > -math.inf and row[column].text.split(" ")[0] in shown
                 for row, rank in zip(rows, ranked, strict=True)]  # fmt: skip
        if all(among):
            continue
        for row, is_best in zip(marked, among, strict=True):
            row[column] = dataclasses.replace(row[column], best=is_best)
    return marked


def _rank(cell: Cell, sign: int) -> float:
    """Return how good a cell is; -inf for what is no number, or leaves failures out."""
    value = next(iter(cell.values.values()), math.nan)
    if not math.isfinite(value) or " (of " in cell.text:
        return -math.inf
    return sign * value


def _percent(value: float) -> str:
    return f"{_percents(value)} %" if not math.isnan(value) else "–"


def _percents(value: float) -> str:
    """Return whole percents; with a decimal where they would hide the only ones among many."""
    hidden = round(100 * value) in (0, 100) and value not in (0.0, 1.0)
    return f"{100 * value:.{int(hidden)}f}"
