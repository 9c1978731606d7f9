"""Many trials in a few numbers, by specimen and overall.

A trial without an answer, or with a distance that is not defined (NaN), is a failure and stays one:
it counts as infinitely far off in medians, percentiles and fractions.  Only the mean and the
standard deviation, which one such trial would make meaningless, are those of the trials that have a
number, and ``measured`` says how many these are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wsreg.errors import InputError
from wsreg.evaluation.pose_errors import DISTANCES, PoseErrors
from wsreg.evaluation.trial import Trial

GROSS_FAILURE_MM = 10.0
"""Beyond this ``mtre_3d_mm`` a pose is no registration."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """One distance over a group of trials, in the distance's own unit (mm or degrees).

    Args:
        measured: trials in which it is defined.
        median, p95: over all trials; infinite where too many have none.
        mean, standard_deviation: over the measured trials; NaN if there are none.
        under_1, under_2, under_3: fraction of all trials that are under so many mm or degrees;
            ``under_1`` is what papers call SRR.
    """

    measured: int
    median: float
    mean: float
    standard_deviation: float
    p95: float
    under_1: float
    under_2: float
    under_3: float


@dataclass(frozen=True, kw_only=True)
class GroupSummary:
    """A group of trials.

    Args:
        group: its name: a specimen's, or ``all``.
        trials: how many there are.
        unanswered: in how many of them the method gave no pose.
        gfr: fraction of gross failures.
        median_seconds: wall time of a trial.
        distances: name -> statistics, for each of ``DISTANCES``.
    """

    group: str
    trials: int
    unanswered: int
    gfr: float
    median_seconds: float
    distances: Mapping[str, Statistics]


def is_gross_failure(errors: PoseErrors) -> bool:
    """Tell whether a pose is over ``GROSS_FAILURE_MM`` off, or is none."""
    return not errors.mtre_3d_mm <= GROSS_FAILURE_MM


def summarise(
    trials: Sequence[Trial], excluded: frozenset[tuple[str, str]] = frozenset()
) -> list[GroupSummary]:
    """Summarise each specimen in order of appearance, then ``all``, then all without the excluded.

    Args:
        trials: of one method.
        excluded: (specimen, projection) whose truth is doubtful; they count in every group but
            the last, which is there only if some of them were tried.

    Raises:
        InputError: there are no trials.
    """
    specimens = list(dict.fromkeys(trial.specimen for trial in trials))
    groups = [
        summarise_group(name, [trial for trial in trials if trial.specimen == name])
        for name in specimens
    ]
    groups.append(summarise_group("all", trials))
    kept = [trial for trial in trials if trial.key not in excluded]
    if kept and len(kept) < len(trials):
        groups.append(summarise_group(f"all but {len(trials) - len(kept)} doubtful", kept))
    return groups


def summarise_group(group: str, trials: Sequence[Trial]) -> GroupSummary:
    """Summarise all trials given as one group.

    Raises:
        InputError: there are no trials.
    """
    if not trials:
        raise InputError(f"trials of group {group!r} must be at least 1, got none")
    return GroupSummary(
        group=group,
        trials=len(trials),
        unanswered=sum(not trial.answered for trial in trials),
        gfr=float(np.mean([is_gross_failure(trial.errors) for trial in trials])),
        median_seconds=float(np.median([trial.seconds for trial in trials])),
        distances={
            name: statistics([getattr(trial.errors, name) for trial in trials])
            for name in DISTANCES
        },
    )


def statistics(values: Sequence[float]) -> Statistics:
    """Return the statistics of one distance [N], N at least 1; NaN is a trial that has none."""
    given = np.asarray(values, dtype=np.float64)
    ranked = np.where(np.isnan(given), np.inf, given)
    measured = given[np.isfinite(given)]
    return Statistics(
        measured=len(measured),
        median=float(np.median(ranked)),
        mean=float(measured.mean()) if len(measured) else np.nan,
        standard_deviation=float(measured.std()) if len(measured) else np.nan,
        # The nearest rank: between a number and infinity there is nothing to interpolate.
        p95=float(np.percentile(ranked, 95, method="inverted_cdf")),
        under_1=float(np.mean(ranked < 1.0)),
        under_2=float(np.mean(ranked < 2.0)),
        under_3=float(np.mean(ranked < 3.0)),
    )
