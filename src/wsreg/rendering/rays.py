"""How the rays of a camera cross a voxel grid, as the renderers need it, with pose derivatives."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import skew, transform_points

MAX_HALF_ANGLE_DEG = 30.0
"""A voxel axis can be 55 degrees off the optical axis; a ray must not run along its planes."""


@dataclass(frozen=True, kw_only=True)
class PlaneAxes:
    """Voxel axes (0 = x, 1 = y, 2 = z): rays follow ``w`` most, image columns follow ``u``."""

    u: int
    v: int
    w: int


@dataclass(frozen=True, kw_only=True, eq=False)
class RayGeometry:
    """Rays of B poses in voxel coordinates (x, y, z), float64.

    Args:
        source: [B,3] the X-ray source.
        linear: [B,3,3] voxel displacement of one camera mm.
        source_by_pose: [B,6,3] and linear_by_pose [B,6,3,3]: derivatives to the pose parameters,
            rotation (rad) about, then translation (mm) along the camera's axes, about the pivot.
        reaches_outside: whether part of the grid lies behind the source or beyond the detector.
    """

    source: Tensor
    linear: Tensor
    source_by_pose: Tensor
    linear_by_pose: Tensor
    reaches_outside: bool


@functools.lru_cache
def check_field_of_view(camera: Camera) -> None:
    """Sampling by planes needs rays that stay well within 90 degrees of the optical axis."""
    columns, rows = camera.columns - 1, camera.rows - 1
    corners = torch.tensor([[0, 0], [columns, 0], [0, rows], [columns, rows]], dtype=torch.float64)
    offset_mm = camera.detector_points(corners)[:, :2].norm(dim=1).max().item()
    angle_deg = math.degrees(math.atan2(offset_mm, camera.source_to_detector_mm))
    if angle_deg > MAX_HALF_ANGLE_DEG:
        raise InputError(
            f"camera rays must stay within {MAX_HALF_ANGLE_DEG:.0f} degrees of the optical axis, "
            f"its corners are {angle_deg:.0f} degrees away"
        )


def ray_geometry(
    camera_from_ct: Tensor,
    ct_from_voxel: Tensor,
    pivot_mm: Tensor,
    camera: Camera,
    corners_mm: Tensor,
) -> RayGeometry:
    """Rays of the poses [B,4,4] and their derivatives about the pivot [3] (CT, LPS mm)."""
    poses = camera_from_ct.detach().to("cpu", torch.float64)
    voxel_from_camera = torch.linalg.inv(poses @ ct_from_voxel)
    linear, source = voxel_from_camera[:, :3, :3], voxel_from_camera[:, :3, 3]
    pivot_camera = transform_points(poses, pivot_mm.to(poses)[None])[:, 0]
    axes = torch.eye(3, dtype=torch.float64)
    cross = skew(axes)  # cross[j] @ p = e_j x p
    by_rotation = torch.einsum("bij,kjl,bl->bki", linear, cross, pivot_camera)
    source_by_pose = torch.cat((by_rotation, -linear.transpose(1, 2)), dim=1)
    turning = -torch.einsum("bij,kjl->bkil", linear, cross)
    linear_by_pose = torch.cat((turning, torch.zeros_like(turning)), dim=1)
    depth = transform_points(poses, corners_mm.to(poses).expand(len(poses), -1, -1))[..., 2]
    return RayGeometry(
        source=source,
        linear=linear,
        source_by_pose=source_by_pose,
        linear_by_pose=linear_by_pose,
        reaches_outside=bool((depth <= 0).any() or (depth >= camera.source_to_detector_mm).any()),
    )


def plane_axes(linear: Tensor, ct_from_voxel: Tensor) -> PlaneAxes:
    """The voxel axis closest to the optical axis, and the one closest to image columns."""
    spacing = torch.linalg.norm(ct_from_voxel[:3, :3], dim=0)
    along_depth = (linear[:, 2] * spacing).abs()
    along_columns = (linear[:, 0] * spacing).abs()
    w = int(along_depth.argmax())
    u = max((axis for axis in range(3) if axis != w), key=lambda axis: float(along_columns[axis]))
    return PlaneAxes(u=u, v=3 - u - w, w=w)


def plane_stride(step_mm: float | None, axes: PlaneAxes, linear: Tensor) -> int:
    """Every how many voxel planes to sample so that the central ray steps at most ``step_mm``."""
    if step_mm is None:
        return 1
    if not (math.isfinite(step_mm) and step_mm > 0):
        raise InputError(f"step_mm must be positive and finite, got {step_mm!r}")
    step_per_plane_mm = 1.0 / abs(float(linear[axes.w, 2]))
    return max(1, math.floor(step_mm / step_per_plane_mm + 1e-6))


def first_plane(planes: int, stride: int) -> int:
    """Sampled planes lie symmetrically in the grid."""
    return ((planes - 1) % stride) // 2
