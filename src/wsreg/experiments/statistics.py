"""What is said of a method's trials: statistics with bootstrap intervals, and paired tests.

Failures count.  A trial without an answer, or with a distance that is not defined, is infinitely
far off in medians, shares and tests; means and standard deviations are of those that have a number,
and ``Statistics.measured`` says how many these are (see ``wsreg.evaluation.summary``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.evaluation.pose_errors import DISTANCES
from wsreg.evaluation.summary import Statistics, is_gross_failure, statistics
from wsreg.evaluation.trial import Trial
from wsreg.experiments.entries import ROLES, Entry

DRAWS = 2000
"""Resamplings of a bootstrap."""
LEVEL = 0.95
"""Of the intervals."""

FloatArray = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class DistanceSummary:
    """One distance over a group of trials, in its own unit (mm or degrees).

    Args:
        statistics: the numbers themselves.
        mean, median, under_1: their 95 % intervals; NaN where there is nothing to tell.
    """

    statistics: Statistics
    mean: Interval
    median: Interval
    under_1: Interval


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A group of trials of one method.

    Args:
        trials: how many there are.
        unanswered: in how many of them there is no pose.
        gfr: fraction of gross failures (``mtre_3d_mm`` over 10 mm, or no pose).
        gfr_interval: its 95 % interval.
        median_seconds: wall time of a trial.
        distances: by name, all of ``DISTANCES``.
    """

    trials: int
    unanswered: int
    gfr: float
    gfr_interval: Interval
    median_seconds: float
    distances: Mapping[str, DistanceSummary]


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Wilcoxon's signed-rank test of two methods on the same X-rays.

    Args:
        method, reference: the names of the methods.
        distance: what is compared.
        pairs: X-rays that both have tried.
        better, worse: on how many of them the method is nearer, or further off.
        median_difference: of method less reference, negative where the method is better; infinite
            where failures of one of them make up the middle, NaN where failures of both meet there.
        p_value: two-sided.
    """

    method: str
    reference: str
    distance: str
    pairs: int
    better: int
    worse: int
    median_difference: float
    p_value: float


def summarise_trials(
    trials: Sequence[Trial], generator: np.random.Generator, draws: int = DRAWS
) -> Summary:
    """Summarise trials of one method; intervals are over X-rays within specimens.

    Args:
        trials: at least one.
        generator: of the resamplings.
        draws: how many there are.

    Raises:
        InputError: there are no trials.
    """
    if not trials:
        raise InputError("trials must be at least 1, got none")
    chosen = resamplings([trial.specimen for trial in trials], generator, draws)
    gross = np.array([float(is_gross_failure(trial.errors)) for trial in trials])
    return Summary(
        trials=len(trials),
        unanswered=sum(not trial.answered for trial in trials),
        gfr=float(gross.mean()),
        gfr_interval=interval_of(gross[chosen].mean(axis=1)),
        median_seconds=float(np.median([trial.seconds for trial in trials])),
        distances={name: _summary(values_of(trials, name), chosen) for name in DISTANCES},
    )


def values_of(trials: Sequence[Trial], distance: str) -> FloatArray:
    """Return [N] a distance of each trial; infinite where there is none."""
    found = np.array([getattr(trial.errors, distance) for trial in trials], dtype=np.float64)
    return np.where(np.isnan(found), np.inf, found)


def resamplings(
    specimens: Sequence[str], generator: np.random.Generator, draws: int = DRAWS
) -> NDArray[np.intp]:
    """Return [draws,N] which trials stand for the N given: drawn anew within each specimen.

    Specimens stay as they are: with six of them, an interval over specimens would be a guess.
    """
    names = np.asarray(specimens)
    chosen = np.empty((draws, len(names)), dtype=np.intp)
    for name in dict.fromkeys(specimens):
        (own,) = np.nonzero(names == name)
        chosen[:, own] = generator.choice(own, size=(draws, len(own)))
    return chosen


def best_reference(entry: Entry, entries: Sequence[Entry], distance: str) -> Entry | None:
    """Return the entry of an earlier role that has the lowest median of a distance, if any.

    Of several, the one with more X-rays under 1 mm or degree is taken.
    """

    def rank(other: Entry) -> tuple[float, float]:
        values = values_of(other.trials, distance)
        return float(np.median(values)), -float(np.mean(values < 1.0))

    earlier = ROLES[: ROLES.index(entry.role)]
    return min((other for other in entries if other.role in earlier), key=rank, default=None)


def paired_test(entry: Entry, reference: Entry, distance: str) -> PairedTest:
    """Compare two methods on the X-rays that both have tried.

    Of a pair with one failure the difference is larger than that of any other; two failures are
    a tie.  Ties count as Pratt (1959) has it.

    Raises:
        InputError: they have no X-ray in common.
    """
    theirs = {trial.key: trial for trial in reference.trials}
    common = [trial for trial in entry.trials if trial.key in theirs]
    if not common:
        raise InputError(
            f"trials of {entry.name} and {reference.name} must have X-rays in common, got none"
        )
    own = values_of(common, distance)
    other = values_of([theirs[trial.key] for trial in common], distance)
    difference = _differences(own, other)
    return PairedTest(
        method=entry.name,
        reference=reference.name,
        distance=distance,
        pairs=len(common),
        better=int(np.sum(difference < 0)),
        worse=int(np.sum(difference > 0)),
        median_difference=_median(difference),
        p_value=signed_rank_p(difference),
    )


def signed_rank_p(difference: FloatArray) -> float:
    """Return the p-value, two-sided, of Wilcoxon's signed-rank test of differences [N].

    Infinite ones rank above all others; those of 0 count as Pratt (1959) has it.
    """
    from scipy.stats import wilcoxon

    finite = np.abs(difference[np.isfinite(difference)])
    largest = 2.0 * float(finite.max(initial=0.0)) + 1.0
    ranked = np.clip(difference, -largest, largest)
    # The test is undefined where nothing differs; then nothing speaks for a difference.
    return float(wilcoxon(ranked, zero_method="pratt").pvalue) if ranked.any() else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values [N] as they are when so many tests are made together (Holm, 1979)."""
    order = np.argsort(p_values)
    raised = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(value) for value in adjusted]


def _median(difference: FloatArray) -> float:
    """Return the median of differences [N], half-way between the middle two of an even number.

    NumPy's warns of infinite ones.
    """
    low, high = np.sort(difference)[[(len(difference) - 1) // 2, len(difference) // 2]].tolist()
    return float(0.5 * (low + high))


def _differences(own: FloatArray, other: FloatArray) -> FloatArray:
    difference = np.zeros_like(own)
    np.subtract(own, other, out=difference, where=np.isfinite(own) | np.isfinite(other))
    return difference


def _summary(values: FloatArray, chosen: NDArray[np.intp]) -> DistanceSummary:
    drawn = values[chosen]
    finite = np.isfinite(drawn)
    count = finite.sum(axis=1)
    sums = np.where(finite, drawn, 0.0).sum(axis=1)
    return DistanceSummary(
        statistics=statistics(np.where(np.isinf(values), np.nan, values).tolist()),
        mean=interval_of(sums[count > 0] / count[count > 0]),
        median=interval_of(np.median(drawn, axis=1)),
        under_1=interval_of((drawn < 1.0).mean(axis=1)),
    )


def interval_of(drawn: FloatArray) -> Interval:
    """Return percentiles; the nearest ranks, as nothing lies between a number and infinity."""
    if not len(drawn):
        return np.nan, np.nan
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(drawn, (tail, 1.0 - tail), method="inverted_cdf")
    return float(low), float(high)
