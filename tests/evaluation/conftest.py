"""Samples made by hand, and methods that answer what they are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.evaluation.pose_errors import DISTANCES, PoseErrors
from wsreg.evaluation.trial import Trial
from wsreg.geometry.camera import Camera
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.result import (
    Comparison,
    RegistrationResult,
    Verdict,
    VerdictStatus,
    ViewResult,
)
from wsreg.volumes.volume import Volume

SampleMaker = Callable[..., Sample]
ResultMaker = Callable[..., RegistrationResult]
TrialMaker = Callable[..., Trial]


@pytest.fixture(scope="session")
def make_sample() -> SampleMaker:
    """An octahedron of landmarks, 80 mm wide, around a CT's centre 700 mm from the source."""
    affine = torch.diag(torch.tensor([10.0, 10.0, 10.0, 1.0], dtype=torch.float64))
    volume = Volume(hu=torch.zeros((3, 3, 3), dtype=torch.int16), ct_from_voxel=affine)
    camera = Camera(source_to_detector_mm=1020.0, rows=4, columns=4, pixel_spacing_mm=(80.0, 80.0))
    image = torch.zeros((4, 4))
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = torch.tensor([0.0, 0.0, 700.0]) - volume.centre_mm
    axes = torch.cat((torch.eye(3), -torch.eye(3))).double()
    landmarks = {f"L{n}": volume.centre_mm + 80.0 * axis for n, axis in enumerate(axes)}

    def make(specimen: str = "A", projection: str = "000", **changes: Any) -> Sample:
        fields = {
            "volume": volume,
            "radiograph": Radiograph(
                image=image, mask=torch.ones_like(image, dtype=torch.bool), camera=camera
            ),
            "poses": {"pelvis": pose},
            "landmarks_mm": landmarks,
        }
        return Sample(specimen=specimen, projection=projection, **{**fields, **changes})

    return make


@pytest.fixture(scope="session")
def make_result() -> ResultMaker:
    def make(
        sample: Sample,
        camera_from_ct: Tensor,
        start: Tensor | None = None,
        verdict: VerdictStatus = "pass",
    ) -> RegistrationResult:
        image = sample.radiograph.image
        return RegistrationResult(
            camera_from_ct=camera_from_ct,
            start_camera_from_ct=camera_from_ct if start is None else start,
            camera=sample.camera,
            pivot_mm=torch.zeros(3, dtype=torch.float64),
            verdict=Verdict(status=verdict, reasons=("Because.",)),
            similarity_start=0.25,
            similarity_end=0.75,
            standard_deviation=torch.zeros(6, dtype=torch.float64),
            iterations=1,
            renders=1,
            seconds={"total": 1.0},
            backend="reference",
            method="fake",
            init="pose",
            bodies={},
            views=(
                ViewResult(
                    name="xray",
                    camera=sample.camera,
                    camera_from_rig=torch.eye(4, dtype=torch.float64),
                    similarity_start=0.25,
                    similarity_end=0.75,
                    comparison=Comparison(
                        camera=sample.camera,
                        fixed=image,
                        mask=sample.radiograph.mask,
                        moving_start=image,
                        moving_end=image,
                        rois_end=image[None, :0],
                    ),
                ),
            ),
        )

    return make


@pytest.fixture(scope="session")
def make_trial() -> TrialMaker:
    """A trial whose distances are all the same, but for those named."""

    def make(
        distance: float,
        *,
        specimen: str = "A",
        projection: str = "000",
        answered: bool = True,
        verdict: VerdictStatus = "pass",
        similarity_end: float = 0.5,
        **distances: float,
    ) -> Trial:
        return Trial(
            specimen=specimen,
            projection=projection,
            answered=answered,
            errors=PoseErrors(**{**dict.fromkeys(DISTANCES, distance), **distances}),
            start_mtre_3d_mm=20.0,
            verdict=verdict,
            reasons=("Because.",),
            similarity_start=0.25,
            similarity_end=similarity_end,
            seconds=2.0,
            camera_from_ct=((1.0, 0.0, 0.0, 0.0),) * 4,
        )

    return make
