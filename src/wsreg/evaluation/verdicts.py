"""How well a method knows when it has failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.evaluation.summary import is_gross_failure
from wsreg.evaluation.trial import Trial
from wsreg.registration.result import VerdictStatus

SUCCESS_MM = 1.0
"""Under this ``mpd_mm`` a pose that is no gross failure is a success."""

CONFIDENCE: Mapping[VerdictStatus, float] = {"pass": 2.0, "check": 1.0, "fail": 0.0}
"""Order of the verdicts."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class VerdictCounts:
    """How many trials got which verdict."""

    passed: int
    checked: int
    failed: int

    @property
    def flagged_fraction(self) -> float:
        """Return the fraction that got ``check`` or ``fail``; NaN of no trials."""
        flagged = self.checked + self.failed
        return flagged / (self.passed + flagged) if self.passed + flagged else math.nan


@dataclass(frozen=True, kw_only=True)
class VerdictSummary:
    """Verdicts against the truth; a trial without an answer has failed and says so.

    Args:
        failures: verdicts of the gross failures (``mtre_3d_mm`` over 10 mm, or no answer).
        successes: of those under ``SUCCESS_MM`` projected that are no gross failures.
        others: of the rest.
        area_by_verdict: area under the risk-coverage curve of gross failures, the most trusted
            verdicts first.
        area_by_similarity: the same in order of ``similarity_end``, best first.
        area_best: the same in the best possible order.
    """

    failures: VerdictCounts
    successes: VerdictCounts
    others: VerdictCounts
    area_by_verdict: float
    area_by_similarity: float
    area_best: float


def summarise_verdicts(trials: Sequence[Trial]) -> VerdictSummary:
    """Compare the verdicts of some trials with their errors.

    Raises:
        InputError: there are no trials.
    """
    failures, successes, others = [], [], []
    for trial in trials:
        if is_gross_failure(trial.errors):
            failures.append(trial)
        elif trial.errors.mpd_mm < SUCCESS_MM:
            successes.append(trial)
        else:
            others.append(trial)
    loss = [float(is_gross_failure(trial.errors)) for trial in trials]
    similarity = [trial.similarity_end if trial.answered else -math.inf for trial in trials]
    return VerdictSummary(
        failures=_counts(failures),
        successes=_counts(successes),
        others=_counts(others),
        area_by_verdict=area_under_risk([CONFIDENCE[trial.verdict] for trial in trials], loss),
        area_by_similarity=area_under_risk(similarity, loss),
        area_best=area_under_risk([-value for value in loss], loss),
    )


def risk_coverage(
    confidence: Sequence[float], loss: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """Return coverage [N] and risk [N]: the mean loss of the k most confident trials, k = 1 ... N.

    Among equally confident trials every order is as good as another: each takes their mean loss,
    so the curve is the expected one.

    Raises:
        InputError: there is nothing, or not as many losses as confidences.
    """
    if not confidence or len(confidence) != len(loss):
        raise InputError(
            "confidence and loss must be as many and at least 1, "
            f"got {len(confidence)} and {len(loss)}"
        )
    _, level = np.unique(-np.asarray(confidence, dtype=np.float64), return_inverse=True)
    mean_loss = np.bincount(level, weights=np.asarray(loss, dtype=np.float64)) / np.bincount(level)
    count = np.arange(1, len(loss) + 1)
    return count / len(loss), np.cumsum(mean_loss[np.sort(level)]) / count


def area_under_risk(confidence: Sequence[float], loss: Sequence[float]) -> float:
    """Return the mean risk over all coverages: the lower the better; guessing gives the mean loss.

    Y. Geifman, G. Uziel, R. El-Yaniv, "Bias-reduced uncertainty estimation for deep neural
    classifiers", ICLR 2019.
    """
    return float(risk_coverage(confidence, loss)[1].mean())


def _counts(trials: Sequence[Trial]) -> VerdictCounts:
    verdicts = [trial.verdict for trial in trials]
    return VerdictCounts(
        passed=verdicts.count("pass"),
        checked=verdicts.count("check"),
        failed=verdicts.count("fail"),
    )
