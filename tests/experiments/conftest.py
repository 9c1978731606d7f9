"""Trials made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from wsreg.evaluation.pose_errors import DISTANCES, PoseErrors
from wsreg.evaluation.trial import Trial
from wsreg.experiments.entries import Entry, Role
from wsreg.registration.result import VerdictStatus

TrialMaker = Callable[..., Trial]
EntryMaker = Callable[..., Entry]


@pytest.fixture(scope="session")
def make_trial() -> TrialMaker:
    """A trial whose distances are all the same, but for those named; NaN is no answer."""

    def make(
        distance: float,
        *,
        specimen: str = "A",
        projection: str = "000",
        verdict: VerdictStatus = "pass",
        similarity_end: float = 0.5,
        start_mm: float = 20.0,
        camera_from_ct: tuple[tuple[float, ...], ...] = (),
        **distances: float,
    ) -> Trial:
        answered = not math.isnan(distance)
        return Trial(
            specimen=specimen,
            projection=projection,
            answered=answered,
            errors=PoseErrors(**{**dict.fromkeys(DISTANCES, distance), **distances}),
            start_mtre_3d_mm=start_mm,
            verdict=verdict if answered else "fail",
            reasons=("Because.",),
            similarity_start=0.25,
            similarity_end=similarity_end if answered else math.nan,
            seconds=2.0,
            camera_from_ct=camera_from_ct,
        )

    return make


@pytest.fixture(scope="session")
def make_entry(make_trial: TrialMaker) -> EntryMaker:
    """A method with a trial for each distance, half of them of each of two specimens."""

    def make(name: str, distances: Sequence[float], role: Role = "ours") -> Entry:
        half = math.ceil(len(distances) / 2)
        trials = [
            make_trial(d, specimen="A" if n < half else "B", projection=f"{n % half:03d}")
            for n, d in enumerate(distances)
        ]
        return Entry(name=name, title=name.title(), role=role, trials=trials)

    return make
