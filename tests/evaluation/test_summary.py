"""Summaries of values chosen by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from wsreg.errors import InputError
from wsreg.evaluation.pose_errors import DISTANCES
from wsreg.evaluation.summary import is_gross_failure, statistics, summarise
from wsreg.evaluation.trial import Trial

TrialMaker = Callable[..., Trial]


def test_statistics_of_known_values() -> None:
    found = statistics([2.5, 0.5, 1.5, 3.5])
    assert found.measured == 4
    assert found.median == 2.0
    assert found.mean == 2.0
    assert found.standard_deviation == pytest.approx(math.sqrt(1.25))
    assert found.p95 == 3.5
    assert (found.under_1, found.under_2, found.under_3) == (0.25, 0.5, 0.75)


def test_shares_are_of_what_lies_strictly_under() -> None:
    found = statistics([1.0, 2.0, 3.0])
    assert (found.under_1, found.under_2, found.under_3) == pytest.approx((0.0, 1 / 3, 2 / 3))


def test_p95_is_the_value_that_95_percent_do_not_exceed() -> None:
    assert statistics([float(n) for n in range(1, 101)]).p95 == 95.0
    assert statistics([float(n) for n in range(1, 21)]).p95 == 19.0


def test_what_has_no_number_counts_as_infinitely_far_off() -> None:
    nan = math.nan
    found = statistics([0.5, nan, 0.5, nan, 0.5])
    assert found.measured == 3
    assert (found.median, found.mean, found.standard_deviation) == (0.5, 0.5, 0.0)
    assert found.p95 == math.inf
    assert found.under_1 == found.under_3 == 0.6
    assert statistics([0.5, nan, nan]).median == math.inf
    assert statistics([0.5] * 19 + [nan]).p95 == 0.5


def test_nothing_but_failures() -> None:
    found = statistics([math.nan, math.nan])
    assert found.measured == 0
    assert found.median == found.p95 == math.inf
    assert math.isnan(found.mean)
    assert math.isnan(found.standard_deviation)
    assert found.under_3 == 0.0


def test_gross_failures_are_over_10_mm_in_3d_or_no_pose(make_trial: TrialMaker) -> None:
    found = [is_gross_failure(make_trial(d).errors) for d in (9.9, 10.0, 10.1, math.nan)]
    assert found == [False, False, True, True]
    assert not is_gross_failure(make_trial(99.0, mtre_3d_mm=1.0).errors)


def test_specimens_then_all(make_trial: TrialMaker) -> None:
    trials = [
        make_trial(0.5, specimen="B", projection="000"),
        make_trial(20.0, specimen="A", projection="000"),
        make_trial(math.nan, specimen="B", projection="001", answered=False),
        make_trial(1.5, specimen="B", projection="002"),
    ]
    groups = summarise(trials)
    assert [group.group for group in groups] == ["B", "A", "all"]
    assert [group.trials for group in groups] == [3, 1, 4]
    assert [group.unanswered for group in groups] == [1, 0, 1]
    assert [group.gfr for group in groups] == pytest.approx([1 / 3, 1.0, 0.5])
    assert groups[0].median_seconds == 2.0
    assert tuple(groups[0].distances) == DISTANCES
    assert groups[0].distances["mpd_mm"].median == 1.5
    assert groups[0].distances["re_deg"].mean == 1.0
    assert groups[2].distances["te_mm"].under_1 == 0.25


def test_the_doubtful_count_everywhere_but_in_the_last_group(make_trial: TrialMaker) -> None:
    trials = [make_trial(0.5, projection="000"), make_trial(50.0, projection="003")]
    doubtful = frozenset({("A", "003"), ("B", "000")})
    groups = summarise(trials, doubtful)
    assert [group.group for group in groups] == ["A", "all", "all but 1 doubtful"]
    assert [group.gfr for group in groups] == [0.5, 0.5, 0.0]
    assert [group.group for group in summarise(trials[:1], doubtful)] == ["A", "all"]
    assert [group.group for group in summarise(trials[1:], doubtful)] == ["A", "all"]


def test_no_trials_have_no_summary() -> None:
    with pytest.raises(InputError, match="must be at least 1"):
        summarise([])
