"""Summaries as text."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from wsreg.evaluation.pose_errors import DISTANCES
from wsreg.evaluation.summary import GroupSummary, summarise
from wsreg.evaluation.tables import (
    csv_rows,
    distance_table,
    failure_table,
    trial_rows,
    verdict_table,
)
from wsreg.evaluation.trial import Trial
from wsreg.evaluation.verdicts import summarise_verdicts

TrialMaker = Callable[..., Trial]


@pytest.fixture
def trials(make_trial: TrialMaker) -> list[Trial]:
    return [
        make_trial(0.5, projection="000"),
        make_trial(1.5, projection="001", verdict="check"),
        make_trial(math.nan, projection="002", answered=False, verdict="fail"),
    ]


@pytest.fixture
def groups(trials: list[Trial]) -> list[GroupSummary]:
    return summarise(trials)


def test_failures_by_group(groups: list[GroupSummary]) -> None:
    assert failure_table(groups).splitlines()[2:] == [
        "| A | 3 | 1 | 33.3% | 2.00 |",
        "| all | 3 | 1 | 33.3% | 2.00 |",
    ]


def test_distances_by_group(groups: list[GroupSummary]) -> None:
    lines = distance_table(groups).splitlines()
    assert len(lines) == 2 + 2 * len(DISTANCES)
    assert lines[2] == "| `mtre_3d_mm` | A | 1.50 | 1.00 ± 0.50 (of 2) | inf | 33% | 67% | 67% |"
    assert len({line.count("|") for line in lines}) == 1


def test_only_the_distances_asked_for(groups: list[GroupSummary]) -> None:
    lines = distance_table(groups, ["mpd_mm"]).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["`mpd_mm`"] * 2


def test_verdicts(trials: list[Trial]) -> None:
    assert verdict_table(summarise_verdicts(trials)).splitlines()[2:] == [
        "| gross failures | 0 | 0 | 1 | 100% |",
        "| others | 0 | 1 | 0 | 100% |",
        "| successes | 1 | 0 | 0 | 0% |",
    ]
    assert "| gross failures | 0 | 0 | 0 |  |" in verdict_table(summarise_verdicts(trials[:1]))


def test_csv_rows_share_their_columns(groups: list[GroupSummary]) -> None:
    rows = csv_rows(groups)
    assert len(rows) == 2 * len(DISTANCES)
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    assert rows[0]["group"] == "A"
    assert rows[0]["distance"] == "mtre_3d_mm"
    assert rows[0]["mean"] == 1.0
    assert rows[0]["gfr"] == pytest.approx(1 / 3)


def test_every_trial_is_a_row(trials: list[Trial]) -> None:
    first, _, last = rows = trial_rows(trials)
    assert all(list(row) == list(first) for row in rows)
    assert (first["specimen"], first["projection"], first["answered"]) == ("A", "000", "true")
    assert [first[name] for name in DISTANCES] == [0.5] * len(DISTANCES)
    assert (last["answered"], last["verdict"], last["reasons"]) == ("false", "fail", "Because.")
    assert math.isnan(float(last["mtre_3d_mm"]))
