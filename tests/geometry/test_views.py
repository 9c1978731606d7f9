from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.rigid import perturb, transform_points
from wsreg.geometry.views import VIEWS, nearest_view, pose_towards

CENTRE_MM = torch.tensor([12.0, -150.0, -600.0], dtype=torch.float64)


@pytest.mark.parametrize("view", list(VIEWS))
def test_the_centre_lies_on_the_optical_axis(camera: Camera, view: str) -> None:
    centre = transform_points(pose_towards(CENTRE_MM, camera, view), CENTRE_MM[None])
    torch.testing.assert_close(centre, torch.tensor([[0.0, 0.0, 700.0]], dtype=torch.float64))


def test_without_the_optical_axis_in_the_image_the_centre_is_in_its_middle(camera: Camera) -> None:
    off = dataclasses.replace(camera, principal_point_px=(-10.0, 60.0))
    centre = transform_points(pose_towards(CENTRE_MM, off, "PA"), CENTRE_MM[None])
    torch.testing.assert_close(off.project(centre)[0], torch.tensor([99.5, 49.5]).double())
    assert float(centre[0, 2]) == pytest.approx(700.0)


@pytest.mark.parametrize(
    ("view", "left_goes", "front_goes"),
    [("PA", -1, 0), ("AP", 1, 0), ("LAT", 0, 1), ("RLAT", 0, -1)],
)
def test_where_left_front_and_head_appear(
    camera: Camera, view: str, left_goes: int, front_goes: int
) -> None:
    pose = pose_towards(CENTRE_MM, camera, view)
    steps = torch.tensor([[50.0, 0.0, 0.0], [0.0, -50.0, 0.0], [0.0, 0.0, 50.0]]).double()
    pixels = camera.project(transform_points(pose, torch.cat((CENTRE_MM + steps, CENTRE_MM[None]))))
    (left, front, head) = (pixels[:3] - pixels[3]).round().sign().long().tolist()
    assert left == [left_goes, 0]
    assert front == [front_goes, 0]
    assert head == [0, -1]


@pytest.mark.parametrize(
    ("view", "nearest_to_detector_mm"),
    [
        ("PA", [0.0, -50.0, 0.0]),
        ("AP", [0.0, 50.0, 0.0]),
        ("LAT", [50.0, 0.0, 0.0]),
        ("RLAT", [-50.0, 0.0, 0.0]),
    ],
)
def test_which_side_is_at_the_detector(
    camera: Camera, view: str, nearest_to_detector_mm: list[float]
) -> None:
    point = CENTRE_MM + torch.tensor(nearest_to_detector_mm, dtype=torch.float64)
    moved = transform_points(pose_towards(CENTRE_MM, camera, view), point[None])
    assert float(moved[0, 2]) == pytest.approx(750.0)


def test_angles_and_lower_case_names_are_views(camera: Camera) -> None:
    angles = CArmAngles(primary_rad=math.pi / 2, secondary_rad=0.0)
    by_angles = pose_towards(CENTRE_MM, camera, angles)
    assert torch.equal(by_angles, pose_towards(CENTRE_MM, camera, "lat"))
    assert by_angles.dtype == torch.float64


def test_depth_can_be_chosen(camera: Camera) -> None:
    pose = pose_towards(CENTRE_MM.float(), camera, "PA", source_to_isocentre_mm=622.0)
    centre = transform_points(pose, CENTRE_MM[None])
    assert float(centre[0, 2]) == pytest.approx(622.0)


@pytest.mark.parametrize("depth", [0.0, -700.0, math.nan, math.inf])
def test_depth_must_be_positive(camera: Camera, depth: float) -> None:
    with pytest.raises(InputError, match="source_to_isocentre_mm must be positive and finite"):
        pose_towards(CENTRE_MM, camera, "PA", source_to_isocentre_mm=depth)


def test_an_unknown_view_is_told_the_known_ones(camera: Camera) -> None:
    with pytest.raises(InputError, match="one of PA, AP, LAT, RLAT, got 'OBLIQUE'"):
        pose_towards(CENTRE_MM, camera, "OBLIQUE")


@pytest.mark.parametrize("name", ["PA", "AP", "LAT", "RLAT"])
def test_the_nearest_view_of_a_turned_pose(name: str) -> None:
    camera = Camera(source_to_detector_mm=1000.0, rows=100, columns=80, pixel_spacing_mm=(3.0, 3.0))
    pose = pose_towards(torch.zeros(3, dtype=torch.float64), camera, name)
    for turn in ((0.5, 0.0, 0.0), (0.0, -0.6, 0.0), (0.3, 0.3, 3.0)):
        motion = torch.tensor((*turn, 5.0, 5.0, 5.0), dtype=torch.float64)
        assert nearest_view(perturb(pose, motion, torch.zeros(3, dtype=torch.float64))) == name
