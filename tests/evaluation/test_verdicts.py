"""Verdicts against the truth, and risk against coverage."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from wsreg.errors import InputError
from wsreg.evaluation.trial import Trial
from wsreg.evaluation.verdicts import (
    VerdictCounts,
    area_under_risk,
    risk_coverage,
    summarise_verdicts,
)


def test_risk_of_the_most_confident() -> None:
    coverage, risk = risk_coverage([0.1, 0.9, 0.5, 0.7], [1.0, 0.0, 1.0, 0.0])
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0.0, 0.0, 1 / 3, 1 / 2])
    assert area_under_risk([0.1, 0.9, 0.5, 0.7], [1.0, 0.0, 1.0, 0.0]) == pytest.approx(5 / 24)


def test_equal_confidence_is_a_guess() -> None:
    _, risk = risk_coverage([1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0])
    assert risk.tolist() == pytest.approx([0.25] * 4)
    _, risk = risk_coverage([1.0, 2.0, 1.0], [1.0, 0.0, 0.0])
    assert risk.tolist() == pytest.approx([0.0, 0.25, 1 / 3])


def test_confidence_the_wrong_way_round_is_worse_than_a_guess() -> None:
    loss = [0.0, 0.0, 1.0]
    assert area_under_risk([3.0, 2.0, 1.0], loss) < 1 / 3 < area_under_risk([1.0, 2.0, 3.0], loss)


def test_risk_needs_as_many_losses_as_confidences() -> None:
    for confidence, loss in (([], []), ([1.0], [1.0, 0.0])):
        with pytest.raises(InputError, match="as many"):
            risk_coverage(confidence, loss)


def test_verdicts_of_failures_and_successes(make_trial: Callable[..., Trial]) -> None:
    trials = [
        make_trial(0.5, verdict="pass", similarity_end=0.4),
        make_trial(0.5, verdict="check", similarity_end=0.9),
        make_trial(0.5, verdict="fail", similarity_end=0.8),
        make_trial(5.0, verdict="check", similarity_end=0.7),
        make_trial(0.5, mtre_3d_mm=11.0, verdict="pass", similarity_end=0.5),
        make_trial(math.nan, answered=False, verdict="fail", similarity_end=math.nan),
    ]
    found = summarise_verdicts(trials)
    assert found.successes == VerdictCounts(passed=1, checked=1, failed=1)
    assert found.others == VerdictCounts(passed=0, checked=1, failed=0)
    assert found.failures == VerdictCounts(passed=1, checked=0, failed=1)
    assert found.failures.flagged_fraction == 0.5
    assert found.successes.flagged_fraction == pytest.approx(2 / 3)
    # pass: a success and a failure; check: two good ones; fail: a success and a failure
    by_verdict = [0.5, 0.5, 1 / 3, 1 / 4, 1.5 / 5, 2 / 6]
    assert found.area_by_verdict == pytest.approx(sum(by_verdict) / 6)
    # in order of similarity: three good ones, the failure at 0.5, a good one, no answer
    assert found.area_by_similarity == pytest.approx((1 / 4 + 1 / 5 + 2 / 6) / 6)
    assert found.area_best == pytest.approx((1 / 5 + 2 / 6) / 6)


def test_no_trials_have_no_flagged_fraction() -> None:
    assert math.isnan(VerdictCounts(passed=0, checked=0, failed=0).flagged_fraction)
