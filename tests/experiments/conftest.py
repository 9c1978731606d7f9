"""Trials made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch

from wsreg.datasets.sample import Sample
from wsreg.evaluation.pose_errors import DISTANCES, PoseErrors
from wsreg.evaluation.trial import Trial
from wsreg.experiments.entries import Entry, Role
from wsreg.geometry.camera import Camera
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.result import VerdictStatus
from wsreg.volumes.volume import Volume

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


@pytest.fixture(scope="session")
def sample() -> Sample:
    """Two boxes of bone, of which the second lies behind the first, and an X-ray from the front.

    Voxels are 2 mm wide; voxel (0,0,0) lies at (-40, -40, -40).  The camera sees the CT's centre
    from 800 mm in front: x to the right, z up; 1600 mm to the detector, so that all is twice as
    large on its 1 mm pixels.
    """
    labels = torch.zeros((41, 41, 41), dtype=torch.uint8)
    labels[10:31, 10:16, 10:31] = 1  # (z,y,x): x and z -20 to 20, y -20 to -10
    labels[5:36, 25:31, 5:36] = 2  # x and z -30 to 30, y 10 to 20
    affine = torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = -40.0
    volume = Volume(
        hu=labels.to(torch.int16) * 500,
        ct_from_voxel=affine,
        labels=labels,
        label_names={1: "front", 2: "back"},
    )
    pose = torch.tensor(
        [[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 800.0], [0, 0, 0, 1.0]], dtype=torch.float64
    )
    camera = Camera(
        source_to_detector_mm=1600.0, rows=161, columns=161, pixel_spacing_mm=(1.0, 1.0)
    )
    mask = torch.zeros((161, 161), dtype=torch.uint8)
    mask[40:121, 40:121] = 1
    points = {"before": (0.0, -22.0, 0.0), "behind": (0.0, 30.0, 10.0), "beside": (38.0, 0.0, 0.0)}
    return Sample(
        specimen="A",
        projection="000",
        volume=volume,
        radiograph=Radiograph(image=torch.eye(161), camera=camera),
        poses={"pelvis": pose},
        labels=mask,
        landmarks_mm={
            name: torch.tensor(point, dtype=torch.float64) for name, point in points.items()
        },
    )
