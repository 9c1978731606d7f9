"""Run any method on samples with known poses and measure its answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation.distances import mtre_3d_mm
from wsreg.evaluation.journal import Journal
from wsreg.evaluation.pose_errors import NO_ANSWER, landmarks_of, pose_errors
from wsreg.evaluation.trial import Trial
from wsreg.registration.result import RegistrationResult

Method = Callable[[Sample], RegistrationResult]


def score(
    method: Method,
    samples: Iterable[Sample],
    *,
    journal: Journal | None = None,
    progress: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Return one trial for each sample, in the samples' order.

    ``te_mm`` is measured at the centre of the sample's CT, whatever pivot the method turned about.
    A sample that the method refuses with an ``InputError`` is a trial without an answer, which
    every summary counts as a failure; any other exception is the method's fault and ends the run.

    Args:
        method: gives a sample's pose; a baseline is scored like ours.
        samples: with landmarks.
        journal: trials that it holds are not run again, new ones are added to it.
        progress: called with each trial as soon as it is known.

    Raises:
        InputError: a sample has no landmarks, or the journal cannot be written.
    """
    trials = []
    for sample in samples:
        trial = journal.trials.get((sample.specimen, sample.projection)) if journal else None
        if trial is None:
            trial = run_trial(method, sample)
            if journal is not None:
                journal.append(trial)
        trials.append(trial)
        progress(trial)
    return trials


def run_trial(method: Method, sample: Sample) -> Trial:
    """Run a method on one sample; see :func:`score`."""
    landmarks = landmarks_of(sample)
    begin = time.perf_counter()
    try:
        result = method(sample)
    except InputError as refusal:
        return _unanswered(sample, str(refusal), time.perf_counter() - begin)
    seconds = time.perf_counter() - begin
    start = mtre_3d_mm(landmarks, result.start_camera_from_ct, sample.camera_from_ct)
    return Trial(
        specimen=sample.specimen,
        projection=sample.projection,
        answered=True,
        errors=pose_errors(sample, result.camera_from_ct, sample.volume.centre_mm),
        start_mtre_3d_mm=float(start),
        verdict=result.verdict.status,
        reasons=result.verdict.reasons,
        similarity_start=result.similarity_start,
        similarity_end=result.similarity_end,
        seconds=seconds,
        camera_from_ct=_rows(result.camera_from_ct),
    )


def _unanswered(sample: Sample, reason: str, seconds: float) -> Trial:
    return Trial(
        specimen=sample.specimen,
        projection=sample.projection,
        answered=False,
        errors=NO_ANSWER,
        start_mtre_3d_mm=math.nan,
        verdict="fail",
        reasons=(reason,),
        similarity_start=math.nan,
        similarity_end=math.nan,
        seconds=seconds,
        camera_from_ct=(),
    )


def _rows(pose: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in pose.double().tolist())
