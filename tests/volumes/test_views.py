from __future__ import annotations

import math

import pytest
import torch

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.rigid import transform_points
from wsreg.volumes.views import frontal_pose, view_pose
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


def test_the_old_name_warns_and_works(volume: Volume) -> None:
    with pytest.warns(DeprecationWarning, match="view_pose"):
        pose = frontal_pose(volume, CAMERA, "LAT")
    assert torch.equal(pose, view_pose(volume, CAMERA, "LAT"))
