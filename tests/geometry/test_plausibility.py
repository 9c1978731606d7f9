from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.plausibility import camera_doubts, camera_warnings, check_plausible_pose
from wsreg.geometry.rigid import inverse_rigid
from wsreg.geometry.views import VIEWS, pose_towards

CENTRE_MM = torch.tensor([10.0, -20.0, 30.0], dtype=torch.float64)
CORNERS_MM = CENTRE_MM + 50 * torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * 3)


def moved(pose: Tensor, by_mm: tuple[float, float, float]) -> Tensor:
    result = pose.clone()
    result[:3, 3] += torch.tensor(by_mm, dtype=pose.dtype)
    return result


@pytest.mark.parametrize("view", list(VIEWS))
def test_named_views_are_plausible(camera: Camera, view: str) -> None:
    check_plausible_pose(pose_towards(CENTRE_MM, camera, view), camera, CORNERS_MM)


def test_a_ct_that_is_just_on_the_image_is_plausible(camera: Camera) -> None:
    pose = pose_towards(CENTRE_MM, camera, "PA")
    # The last column's edge is 109.5 mm from the axis, 82.125 mm at the far side's depth of 750 mm.
    check_plausible_pose(moved(pose, (132.0, 0.0, 0.0)), camera, CORNERS_MM)
    with pytest.raises(InputError, match="misses the 200 x 100 pixels altogether"):
        check_plausible_pose(moved(pose, (132.2, 0.0, 0.0)), camera, CORNERS_MM)


@pytest.mark.parametrize("shift", [(-500, 0, 0), (0, 500, 0), (0, -500, 0)])
def test_a_ct_beside_the_image(camera: Camera, shift: tuple[float, float, float]) -> None:
    pose = moved(pose_towards(CENTRE_MM, camera, "PA"), shift)
    with pytest.raises(InputError, match="misses the 200 x 100 pixels altogether"):
        check_plausible_pose(pose, camera, CORNERS_MM)


@pytest.mark.parametrize(
    ("depth_mm", "message"),
    [
        (-700.0, "it lies wholly behind the source"),
        (20.0, r"it reaches behind the source \(depth -30 mm\)"),
        (1100.0, "between source and detector, its centre is 1100 mm away and the detector 1000"),
    ],
)
def test_a_ct_at_an_impossible_depth(camera: Camera, depth_mm: float, message: str) -> None:
    pose = moved(pose_towards(CENTRE_MM, camera, "PA"), (0.0, 0.0, depth_mm - 700.0))
    with pytest.raises(InputError, match=message):
        check_plausible_pose(pose, camera, CORNERS_MM)


def test_a_translation_in_metres_is_suspected(camera: Camera) -> None:
    pose = pose_towards(CENTRE_MM, camera, "PA")
    pose[:3, 3] /= 1000.0
    with pytest.raises(InputError, match=r"must be in millimetres, its translation .* like metres"):
        check_plausible_pose(pose, camera, CORNERS_MM)


def test_a_ct_whose_origin_is_the_source_is_not_suspected(camera: Camera) -> None:
    corners = CORNERS_MM - CENTRE_MM + torch.tensor([0.0, 0.0, 700.0], dtype=torch.float64)
    check_plausible_pose(torch.eye(4, dtype=torch.float64), camera, corners)
    with pytest.raises(InputError, match="behind the source"):
        check_plausible_pose(torch.eye(4, dtype=torch.float64), camera, CORNERS_MM)


@pytest.mark.parametrize("view", list(VIEWS))
def test_an_inverse_is_suspected(camera: Camera, view: str) -> None:
    inverse = inverse_rigid(pose_towards(CENTRE_MM, camera, view))
    with pytest.raises(InputError, match=r"its inverse does, is it ct_from_camera \(--pose-conv"):
        check_plausible_pose(inverse, camera, CORNERS_MM)


def usual(**changed: Any) -> Camera:
    fields = {"source_to_detector_mm": 1100.0, "rows": 512, "columns": 480,
              "pixel_spacing_mm": (0.6, 0.5)}  # fmt: skip
    return Camera(**{**fields, **changed})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, {}),
        ({"principal_point_px": (230.0, 300.0)}, {}),
        ({"source_to_detector_mm": 1.1}, {"source_to_detector_mm": "metres?"}),
        ({"source_to_detector_mm": 110.0}, {"source_to_detector_mm": "centimetres?"}),
        ({"source_to_detector_mm": 1.1e6}, {"source_to_detector_mm": "micrometres?"}),
        ({"source_to_detector_mm": 5000.0}, {"source_to_detector_mm": "have."}),
        ({"pixel_spacing_mm": (0.0006, 0.0005)}, {"pixel_spacing_mm": "metres?"}),
        ({"pixel_spacing_mm": (0.06, 0.05)}, {"pixel_spacing_mm": "centimetres?"}),
        ({"pixel_spacing_mm": (600.0, 500.0)}, {"pixel_spacing_mm": "micrometres?"}),
        ({"pixel_spacing_mm": (3.0, 3.0)}, {"pixel_spacing_mm": "to 600 mm."}),
        ({"principal_point_px": (-4e5, 300.0)}, {"principal_point_px": "480 columns and 512 rows"}),
        ({"principal_point_px": (0.0, 0.0)}, {"principal_point_px": "from the first pixel"}),
        ({"principal_point_px": (0.5, 0.5)}, {"principal_point_px": "in pixels?"}),
    ],
)
def test_a_camera_in_other_units_is_doubted(changed: Any, said: dict[str, str]) -> None:
    doubts = camera_doubts(usual(**changed))
    assert set(doubts) == set(said)
    assert all(text in doubts[name] for name, text in said.items())
    assert camera_warnings(usual(**changed)) == [f"Warning: {text}" for text in doubts.values()]
