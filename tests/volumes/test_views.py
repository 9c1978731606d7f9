from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.rig import orbit_rig, relative
from wsreg.geometry.rigid import exp_so3, rigid, transform_points
from wsreg.volumes.views import rig_view_pose, view_pose
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000, rows=64, columns=32, pixel_spacing_mm=(1, 1))


@pytest.fixture
def volume() -> Volume:
    ct_from_voxel = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    ct_from_voxel[:3, 3] = torch.tensor([-10.0, 20.0, -300.0])
    return Volume(hu=torch.zeros(5, 7, 9), ct_from_voxel=ct_from_voxel)


@pytest.mark.parametrize("view", ["PA", "ap", "LAT", "rlat"])
def test_the_middle_of_the_grid_is_in_the_middle_of_the_image(volume: Volume, view: str) -> None:
    middle = torch.tensor([[-2.0, 29.0, -292.0]], dtype=torch.float64)
    moved = transform_points(view_pose(volume, CAMERA, view), middle)
    torch.testing.assert_close(moved, torch.tensor([[0.0, 0.0, 700.0]], dtype=torch.float64))


def test_pa_is_the_default_and_c_arm_angles_zero(volume: Volume) -> None:
    pa = view_pose(volume, CAMERA)
    zero = CArmAngles(primary_rad=0.0, secondary_rad=0.0)
    assert torch.equal(pa, view_pose(volume, CAMERA, zero))
    assert not torch.allclose(
        pa, view_pose(volume, CAMERA, CArmAngles(primary_rad=math.pi, secondary_rad=0.0))
    )


def test_an_unknown_view_is_refused(volume: Volume) -> None:
    with pytest.raises(InputError, match="view must be one of PA, AP, LAT, RLAT"):
        view_pose(volume, CAMERA, "frontal")


def side(depth_mm: float, first_depth_mm: float) -> list[Tensor]:
    """Places of two cameras at right angles about a point so deep in each."""
    turn = exp_so3(torch.tensor([0.0, math.pi / 2, 0.0], dtype=torch.float64))
    first = torch.tensor([0.0, 0.0, first_depth_mm], dtype=torch.float64)
    second = torch.tensor([0.0, 0.0, depth_mm], dtype=torch.float64)
    return [torch.eye(4, dtype=torch.float64), rigid(turn, second - turn @ first)]


@pytest.mark.parametrize("view", ["AP", CArmAngles(primary_rad=0.3, secondary_rad=-0.2)])
def test_one_view_of_a_rig_is_the_view(volume: Volume, view: str | CArmAngles) -> None:
    place = rigid(exp_so3(torch.ones(3, dtype=torch.float64)), torch.ones(3, dtype=torch.float64))
    assert torch.equal(
        rig_view_pose(volume, [CAMERA], [place], view), view_pose(volume, CAMERA, view)
    )


def test_the_middle_of_the_grid_is_where_the_axes_cross(volume: Volume) -> None:
    middle = torch.tensor([[-2.0, 29.0, -292.0]], dtype=torch.float64)
    places = side(520.0, 610.0)
    moved = exp_so3(torch.tensor([0.1, 0.4, -0.8], dtype=torch.float64))
    rig_moved = rigid(moved, torch.tensor([30.0, -20.0, 10.0], dtype=torch.float64))
    pose = rig_view_pose(volume, [CAMERA, CAMERA], [place @ rig_moved for place in places], "LAT")
    torch.testing.assert_close(pose[:3, :3], view_pose(volume, CAMERA, "LAT")[:3, :3])
    for place, depth in zip(places, (610.0, 520.0), strict=True):
        seen = transform_points(place @ pose, middle)
        torch.testing.assert_close(seen, torch.tensor([[0.0, 0.0, depth]], dtype=torch.float64))


def test_an_axis_that_misses_its_image_gives_way_to_the_images_middle(volume: Volume) -> None:
    cut = dataclasses.replace(CAMERA, principal_point_px=(15.5, 131.5))  # 100 mm below the image
    pose = rig_view_pose(volume, [cut, cut], side(700.0, 700.0))
    middle = torch.tensor([[-2.0, 29.0, -292.0]], dtype=torch.float64)
    torch.testing.assert_close(
        transform_points(pose, middle), torch.tensor([[0.0, -70.0, 700.0]], dtype=torch.float64)
    )


@pytest.mark.parametrize("depths", [(1200.0, 700.0), (700.0, 1200.0)])
def test_axes_that_cross_beyond_a_detector_are_no_guide(
    volume: Volume, depths: tuple[float, float]
) -> None:
    pose = rig_view_pose(volume, [CAMERA, CAMERA], side(*depths))
    assert torch.equal(pose, view_pose(volume, CAMERA))


def test_parallel_views_are_no_guide(volume: Volume) -> None:
    rig = orbit_rig(CAMERA, angle_rad=math.pi, source_to_isocentre_mm=600.0)
    pose = rig_view_pose(volume, [CAMERA, CAMERA], relative(rig), "AP")
    assert torch.equal(pose, view_pose(volume, CAMERA, "AP"))
