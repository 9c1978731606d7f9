from __future__ import annotations

import math

import pytest

from wsreg.experiments import cells
from wsreg.experiments.table import Cell


@pytest.mark.parametrize(
    ("value", "printed"),
    [(1.005, "1.00"), (-0.5, "−0.50"), (-0.001, "0.00"), (math.nan, "–"), (math.inf, "∞"),
     (-math.inf, "−∞"), (0.0, "0.00")],
)  # fmt: skip
def test_numbers(value: float, printed: str) -> None:
    assert cells.number(value) == printed


def test_what_leaves_failures_out_says_so() -> None:
    cell = cells.mean_sd(1.0, 0.5, measured=7)
    assert cell.text == "1.00 ± 0.50 (of 7)"
    assert cells.mean_sd(math.nan, math.nan, measured=0).text == "–"


def test_shares_intervals_and_p_values() -> None:
    assert cells.share(0.876).text == "88 %"
    assert [cells.share(n / 366).text for n in (0, 1, 365, 366)] == [
        "0 %", "0.3 %", "99.7 %", "100 %",
    ]  # fmt: skip
    assert cells.share(1 / 366, (0.0, 3 / 366)).text == "0.3 % [0, 1]"
    cell = cells.share(0.5, (0.25, 0.75))
    assert cell.text == "50 % [25, 75]"
    assert cell.values == {"share": 0.5, "low": 0.25, "high": 0.75}
    assert cells.with_interval(0.5, (0.25, math.inf), "median").text == "0.50 [0.25, ∞]"
    assert [cells.p_value(p).text for p in (0.0004, 0.0123)] == ["< 0.001", "0.012"]
    assert cells.quoted("0.67 ± 1.34").values == {"mean": 0.67, "sd": 1.34}


def best(rows: list[list[Cell]], better: list[int]) -> list[list[bool]]:
    return [[cell.best for cell in row] for row in cells.best_marked(rows, better)]


def test_the_best_of_each_column_ties_as_printed_included() -> None:
    rows = [
        [cells.text("a"), cells.mean_sd(0.501, 9.0), cells.share(0.5), cells.count(1)],
        [cells.text("b"), cells.mean_sd(0.503, 0.1), cells.share(0.9), cells.count(2)],
        [cells.text("c"), cells.mean_sd(0.6, 0.1), cells.share(0.1), cells.count(3)],
    ]
    assert best(rows, [0, -1, 1, 0]) == [
        [False, True, False, False], [False, True, True, False], [False] * 4,
    ]  # fmt: skip
    assert best(rows[:1], [0, -1, 1, 0]) == [[False] * 4]


def test_where_none_is_worse_none_is_the_best() -> None:
    rows = [[cells.share(0.5), cells.share(1.0)], [cells.share(0.5), cells.share(0.9)]]
    assert best(rows, [1, 1]) == [[False, True], [False, False]]


def test_a_mean_without_its_failures_is_never_the_best() -> None:
    rows = [[cells.mean_sd(0.1, 0.1, measured=3)], [cells.mean_sd(2.0, 0.1)],
            [cells.mean_sd(math.nan, math.nan)]]  # fmt: skip
    assert best(rows, [-1]) == [[False], [True], [False]]
