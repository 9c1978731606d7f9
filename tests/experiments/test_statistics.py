"""Statistics against values known by hand, and against SciPy's."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from wsreg.errors import InputError
from wsreg.evaluation.trial import Trial
from wsreg.experiments.entries import Entry
from wsreg.experiments.statistics import (
    best_reference,
    holm,
    paired_test,
    resamplings,
    summarise_trials,
    values_of,
)

EntryMaker = Callable[..., Entry]
NAN = math.nan


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_failures_count_and_are_not_dropped(make_entry: EntryMaker) -> None:
    found = summarise_trials(make_entry("a", [0.5, NAN, 0.7, 20.0]).trials, generator())
    assert (found.trials, found.unanswered, found.gfr) == (4, 1, 0.5)
    of = found.distances["mpd_mm"].statistics
    assert of.measured == 3
    assert of.under_1 == 0.5
    assert of.median == pytest.approx(10.35)  # between 0.7 and 20, infinity above
    assert of.mean == pytest.approx(21.2 / 3)


def test_only_failures(make_entry: EntryMaker) -> None:
    found = summarise_trials(make_entry("a", [NAN, NAN]).trials, generator(), draws=20)
    of = found.distances["mtre_3d_mm"]
    assert found.gfr == 1.0
    assert found.gfr_interval == (1.0, 1.0)
    assert of.median == (math.inf, math.inf)
    assert of.under_1 == (0.0, 0.0)
    assert np.isnan(of.mean).all()


def test_resamplings_stay_within_specimens() -> None:
    chosen = resamplings(["A", "B", "A", "B", "B"], generator(), draws=50)
    assert chosen.shape == (50, 5)
    assert set(chosen[:, [0, 2]].ravel()) == {0, 2}
    assert set(chosen[:, [1, 3, 4]].ravel()) == {1, 3, 4}


def test_intervals_are_those_of_the_mean(make_trial: Callable[..., Trial]) -> None:
    """Of 400 normal values the mean is known to 1.96 standard errors."""
    values = np.random.default_rng(1).normal(50.0, 2.0, 400)
    trials = [make_trial(float(v), projection=str(n)) for n, v in enumerate(values)]
    low, high = summarise_trials(trials, generator()).distances["te_mm"].mean
    error = 1.96 * values.std() / 20.0
    assert low == pytest.approx(values.mean() - error, abs=0.02)
    assert high == pytest.approx(values.mean() + error, abs=0.02)


def test_a_specimen_of_one_has_no_width(make_trial: Callable[..., Trial]) -> None:
    trials = [make_trial(1.0, specimen="A"), make_trial(3.0, specimen="B")]
    of = summarise_trials(trials, generator()).distances["mpd_mm"]
    assert of.mean == (2.0, 2.0)


def test_the_same_generator_gives_the_same_intervals(make_entry: EntryMaker) -> None:
    trials = make_entry("a", [0.1, 0.9, 1.1, 3.0, NAN, 2.0]).trials
    assert summarise_trials(trials, generator()) == summarise_trials(trials, generator())
    with pytest.raises(InputError, match="at least 1, got none"):
        summarise_trials([], generator())


def test_no_answer_is_infinitely_far(make_entry: EntryMaker) -> None:
    assert values_of(make_entry("a", [1.0, NAN]).trials, "re_deg").tolist() == [1.0, math.inf]


def test_the_best_reference_is_of_an_earlier_role_and_counts_failures(
    make_entry: EntryMaker,
) -> None:
    refuses = make_entry("refuses", [0.1, NAN, NAN, NAN], "baseline")
    answers = make_entry("answers", [2.0, 2.0, 2.0, 2.0], "baseline")
    paper = make_entry("paper", [1.0, 1.0, 1.0, 1.0], "paper")
    ours = make_entry("ours", [0.5, 0.5, 0.5, 0.5])
    entries = [refuses, answers, paper, ours]
    assert best_reference(ours, entries, "mpd_mm") is paper
    assert best_reference(paper, entries, "mpd_mm") is answers
    assert best_reference(answers, entries, "mpd_mm") is None
    assert best_reference(ours, [ours], "mpd_mm") is None


def test_paired_test_is_scipys(make_entry: EntryMaker) -> None:
    own = [0.1, 0.4, 0.35, 0.8, 1.2, 0.5, 0.15, 0.9]
    other = [0.3, 0.5, 0.30, 1.7, 1.9, 0.9, 0.45, 1.7]
    test = paired_test(make_entry("own", own), make_entry("other", other), "mpd_mm")
    assert test.p_value == scipy.stats.wilcoxon(own, other, zero_method="pratt").pvalue
    assert (test.pairs, test.better, test.worse) == (8, 7, 1)
    assert test.median_difference == pytest.approx(-0.35)  # between -0.4 and -0.3
    back = paired_test(make_entry("other", other), make_entry("own", own), "mpd_mm")
    assert back.median_difference == pytest.approx(0.35)


def test_six_of_six_nearer_has_the_exact_p_value(make_entry: EntryMaker) -> None:
    own, other = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.1, 2.2, 3.3, 4.4, 5.5, 6.6]
    test = paired_test(make_entry("own", own), make_entry("other", other), "mpd_mm")
    assert test.p_value == pytest.approx(2 / 2**6)


def test_failures_are_the_largest_differences_and_two_are_a_tie(make_entry: EntryMaker) -> None:
    own = make_entry("own", [NAN, 1.0, 1.0, 1.0, 1.0, NAN])
    other = make_entry("other", [1.0, 1.1, 1.2, 1.3, 1.4, NAN])
    test = paired_test(own, other, "mpd_mm")
    assert (test.pairs, test.better, test.worse) == (6, 4, 1)
    largest = [-0.1, -0.2, -0.3, -0.4, 9.0, 0.0]
    assert test.p_value == pytest.approx(scipy.stats.wilcoxon(largest, zero_method="pratt").pvalue)
    assert paired_test(other, own, "mpd_mm").p_value == pytest.approx(test.p_value)


@pytest.mark.parametrize(
    ("own", "other", "middle"),
    [
        ([1.0, 1.0, NAN, NAN], [2.0, 2.0, 1.0, 1.0], math.inf),  # -1 and infinity in the middle
        ([1.0, 1.0, NAN], [2.0, 3.0, 1.0], -1.0),
        ([1.0, 1.0, 1.0, 9.0], [NAN, NAN, 2.0, 1.0], -math.inf),
    ],
)
def test_the_median_difference_where_failures_are_in_the_middle(
    make_entry: EntryMaker, own: list[float], other: list[float], middle: float
) -> None:
    test = paired_test(make_entry("own", own), make_entry("other", other), "mpd_mm")
    assert test.median_difference == middle


def test_failures_of_both_in_the_middle_have_no_median(make_entry: EntryMaker) -> None:
    own, other = make_entry("own", [1.0, NAN]), make_entry("other", [NAN, 1.0])
    assert math.isnan(paired_test(own, other, "mpd_mm").median_difference)


def test_the_same_answers_do_not_differ(make_entry: EntryMaker) -> None:
    entry = make_entry("own", [1.0, NAN, 2.0, 3.0])
    test = paired_test(entry, entry, "mpd_mm")
    assert (test.p_value, test.median_difference, test.better, test.worse) == (1.0, 0.0, 0, 0)


def test_pairs_are_of_the_same_xray(make_trial: Callable[..., Trial]) -> None:
    def entry(name: str, **distances: float) -> Entry:
        trials = [make_trial(d, projection=p) for p, d in distances.items()]
        return Entry(name=name, title=name, role="ours", trials=trials)

    test = paired_test(entry("own", a=1.0, b=2.0), entry("other", c=9.0, b=5.0), "mpd_mm")
    assert (test.pairs, test.median_difference) == (1, -3.0)
    with pytest.raises(InputError, match="own and other must have X-rays in common"):
        paired_test(entry("own", a=1.0), entry("other", b=1.0), "mpd_mm")


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
