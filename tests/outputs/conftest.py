from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.registration.result import (
    BodyResult,
    Comparison,
    RegistrationResult,
    Verdict,
    ViewResult,
)
from wsreg.registration.trace_step import TraceStep


def blob_image(column_px: float, row_px: float, *, rows: int = 48, columns: int = 64) -> Tensor:
    """[rows,columns] a Gaussian blob of height 1 and width 6 px."""
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.exp(-((column - column_px) ** 2 + (row - row_px) ** 2) / (2 * 6.0**2))


def pose(turn_x_deg: float = 0.0) -> Tensor:
    """[4,4] a turn about x, then 1, 2, 700 mm."""
    angle = torch.deg2rad(torch.tensor(turn_x_deg, dtype=torch.float64))
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[1:3, 1:3] = torch.stack(
        (torch.cos(angle), -torch.sin(angle), torch.sin(angle), torch.cos(angle))
    ).reshape(2, 2)
    matrix[:3, 3] = torch.tensor([1.0, 2.0, 700.0])
    return matrix


@pytest.fixture
def make_result() -> Callable[..., RegistrationResult]:
    """A result whose X-ray is a blob at (32, 24), found from 8 px to its right.

    Keywords replace the fields of that name.
    """
    camera = Camera(source_to_detector_mm=1000.0, rows=48, columns=64, pixel_spacing_mm=(1.0, 1.0))
    fixed = 3.0 * blob_image(32, 24) + 1.0
    mask = torch.ones(48, 64, dtype=torch.bool)
    mask[:, :8] = False
    fixed[:, :8] = 1e6

    def make(**changes: Any) -> RegistrationResult:
        comparison = Comparison(
            camera=camera,
            fixed=fixed,
            mask=mask,
            moving_start=blob_image(40, 24),
            moving_end=blob_image(32, 24),
            rois_end=changes.pop("rois_end", torch.zeros(0, 48, 64)),
            roi_names=changes.pop("roi_names", ()),
        )
        comparison = changes.pop("comparison", comparison)
        view = ViewResult(
            name="xray",
            camera=camera,
            camera_from_rig=torch.eye(4, dtype=torch.float64),
            similarity_start=0.4,
            similarity_end=0.9,
            comparison=comparison,
        )
        fields: dict[str, Any] = {
            "camera_from_ct": pose(90.0),
            "start_camera_from_ct": pose(80.0),
            "camera": camera,
            "pivot_mm": torch.tensor([0.0, 10.0, 0.0], dtype=torch.float64),
            "verdict": Verdict(status="pass", reasons=("The starts agree.", "It rose by 0.5.")),
            "similarity_start": 0.4,
            "similarity_end": 0.9,
            "standard_deviation": torch.tensor(
                [torch.pi / 180, torch.pi / 90, torch.pi / 60, 0.1, 0.2, 2.5], dtype=torch.float64
            ),
            "iterations": 12,
            "renders": 30,
            "seconds": {"refine": 0.4, "total": 0.5},
            "backend": "reference",
            "method": "gauss-newton",
            "init": "pose",
            "config": {"levels": (4, 2, 1), "damping": 1e-3},
            "bodies": {},
            "views": (view,),
        }
        fields |= changes
        if not fields["bodies"]:
            one = BodyResult(
                labels=(),
                camera_from_ct=fields["camera_from_ct"],
                pivot_mm=fields["pivot_mm"],
                standard_deviation=fields["standard_deviation"],
                verdict=fields["verdict"],
                shown=1.0,
            )
            fields["bodies"] = {"ct": one}
        return RegistrationResult(**fields)

    return make


@pytest.fixture
def make_trace() -> Callable[..., tuple[TraceStep, ...]]:
    """A start, two steps at a first level, the second not taken, and one at the next level.

    The blob goes from column 40 over 36 to 32.
    """

    def make(
        bodies: int = 1, views: int = 1, roi_dice: Mapping[str, float] | None = None
    ) -> tuple[TraceStep, ...]:
        images = {column: (blob_image(column, 24),) * views for column in (40, 36, 32)}
        nan = float("nan")
        steps = (
            ("start", 2, 0, True, 40, 0.5, 0.4, nan),
            ("image", 1, 0, True, 36, 0.3, 0.6, 0.01),
            ("image", 1, 1, False, 36, 0.3, 0.6, 0.01),
            ("image", 2, 0, True, 32, 0.1, 0.9, 0.002),
        )
        trace = []
        for stage, level, iteration, accepted, column, loss, similarity, damping in steps:
            camera_from_ct = torch.stack([pose(80.0 + column / 3 + n) for n in range(bodies)])
            trace.append(
                TraceStep(
                    stage=stage,  # type: ignore[arg-type]
                    level=level,
                    iteration=iteration,
                    accepted=accepted,
                    camera_from_ct=camera_from_ct,
                    loss=loss,
                    similarity=similarity,
                    damping=damping,
                    roi_dice=roi_dice or {},
                    moving=images[column],
                )
            )
        return tuple(trace)

    return make


@pytest.fixture
def two_of_each(make_result: Callable[..., RegistrationResult]) -> RegistrationResult:
    """A pelvis and a femur that has moved by 5 mm along x, in two views.

    The second camera stands 100 mm further back; it outlines the femur only.
    """
    one = make_result(
        rois_end=torch.stack([square(10, 15), square(30, 40)]), roi_names=("pelvis", "left-femur")
    )
    back = torch.eye(4, dtype=torch.float64)
    back[2, 3] = 100.0
    (first,) = one.views
    comparison = dataclasses.replace(
        first.comparison, rois_end=square(20, 30)[None], roi_names=("left-femur",)
    )
    second = dataclasses.replace(
        first,
        name="lateral",
        camera_from_rig=back,
        similarity_start=0.1,
        similarity_end=0.8,
        comparison=comparison,
    )
    moved = pose(90.0)
    moved[0, 3] += 5.0
    pelvis = dataclasses.replace(one.bodies["ct"], labels=(1, 2))
    femur = BodyResult(
        labels=(5,),
        camera_from_ct=moved,
        pivot_mm=torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64),
        standard_deviation=torch.full((6,), torch.nan, dtype=torch.float64),
        verdict=Verdict(status="check", reasons=("The X-ray shows 10% of it.",)),
        shown=0.1,
    )
    return dataclasses.replace(
        one,
        bodies={"pelvis": pelvis, "left-femur": femur},
        views=(dataclasses.replace(first, name="frontal"), second),
    )


def square(row: int, column: int) -> Tensor:
    """[48,64] path length of 20 mm in ten rows and columns from these on."""
    lengths = torch.zeros(48, 64)
    lengths[row : row + 10, column : column + 10] = 20.0
    return lengths
