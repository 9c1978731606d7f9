"""Rays in voxel coordinates: axes, strides, derivatives, and which cameras can be marched."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, perturb
from wsreg.rendering.rays import (
    PlaneAxes,
    PlaneSampling,
    check_field_of_view,
    first_plane,
    plane_samplings,
    ray_geometry,
)
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume


def camera_of_half_angle(angle_deg: float) -> Camera:
    """A square image whose corners are that far from the optical axis."""
    half_mm = 1000.0 * math.tan(math.radians(angle_deg)) / math.sqrt(2.0)
    return Camera(
        source_to_detector_mm=1000.0, rows=3, columns=3, pixel_spacing_mm=(half_mm, half_mm)
    )


def test_the_field_of_view_is_limited_at_its_corners() -> None:
    check_field_of_view(camera_of_half_angle(29.9))
    with pytest.raises(InputError, match=r"camera rays must stay within 30 degrees.*35 degrees"):
        check_field_of_view(camera_of_half_angle(35.0))


def test_rays_follow_the_axis_nearest_to_them_in_mm_not_in_voxels() -> None:
    # Camera x, y, z are voxel axes 0, 1, 2, turned by 50 degrees about y: 0 is nearer than 2.
    turn = exp_so3(torch.tensor([0.0, math.radians(50.0), 0.0], dtype=torch.float64))
    spacing = torch.tensor([5.0, 1.0, 0.5, 1.0], dtype=torch.float64)
    straight = torch.diag(1 / spacing[:3])
    both = plane_samplings(torch.stack((straight @ turn.T, straight)), torch.diag(spacing), None)
    assert [sampling.axes for sampling in both] == [
        PlaneAxes(u=2, v=1, w=0),
        PlaneAxes(u=0, v=1, w=2),
    ]


def test_there_are_as_many_samplings_as_poses() -> None:
    assert plane_samplings(torch.empty((0, 3, 3)), torch.eye(4), None) == []


@pytest.mark.parametrize(("step_mm", "stride"), [(None, 1), (0.1, 1), (2.0, 1), (5.9, 2), (6.0, 3)])
def test_a_step_is_rounded_down_to_whole_planes(step_mm: float | None, stride: int) -> None:
    linear = torch.diag(torch.tensor([1.0, 1.0, 0.5], dtype=torch.float64))
    ct_from_voxel = torch.diag(torch.tensor([1.0, 1.0, 2.0, 1.0], dtype=torch.float64))
    (sampling,) = plane_samplings(linear[None], ct_from_voxel, step_mm)
    assert sampling == PlaneSampling(axes=PlaneAxes(u=0, v=1, w=2), stride=stride)


@pytest.mark.parametrize("step_mm", [0.0, -1.0, math.inf, math.nan])
def test_a_step_must_be_positive_and_finite(step_mm: float) -> None:
    linear = torch.eye(3, dtype=torch.float64)[None]
    with pytest.raises(InputError, match="step_mm must be positive and finite, got"):
        plane_samplings(linear, torch.eye(4, dtype=torch.float64), step_mm)


def test_sampled_planes_leave_as_much_at_both_ends() -> None:
    for planes, stride in ((10, 1), (10, 3), (11, 4), (12, 4), (5, 7)):
        first = first_plane(planes, stride)
        left_over = planes - 1 - range(first, planes, stride)[-1]
        assert left_over - first in (0, 1)


def test_derivatives_of_the_rays_are_those_of_the_moved_pose(
    noisy_volume: Volume, camera: Camera
) -> None:
    pose = view_pose(noisy_volume, camera)
    pivot = noisy_volume.centre_mm + torch.tensor([11.0, -3.0, 8.0], dtype=torch.float64)

    def voxel_from_camera(twist: Tensor) -> Tensor:
        moved: Tensor = perturb(pose, twist, pivot) @ noisy_volume.ct_from_voxel
        inverse: Tensor = torch.linalg.inv(moved)[:3]
        return inverse

    rays = ray_geometry(
        pose[None], noisy_volume.ct_from_voxel, pivot, camera, noisy_volume.corners_mm
    )
    expected = torch.autograd.functional.jacobian(
        voxel_from_camera, torch.zeros(6, dtype=torch.float64)
    )
    torch.testing.assert_close(rays.linear_by_pose[0], expected[:, :3].permute(2, 0, 1))
    torch.testing.assert_close(rays.source_by_pose[0], expected[:, 3].T)


@pytest.mark.parametrize(("shift_mm", "outside"), [(0.0, False), (-690.0, True), (290.0, True)])
def test_a_volume_that_sticks_out_is_noticed(
    noisy_volume: Volume, camera: Camera, shift_mm: float, outside: bool
) -> None:
    pose = view_pose(noisy_volume, camera)[None].clone()
    pose[0, 2, 3] += shift_mm
    rays = ray_geometry(
        pose,
        noisy_volume.ct_from_voxel,
        noisy_volume.centre_mm,
        camera,
        noisy_volume.corners_mm,
    )
    assert rays.reaches_outside is outside
