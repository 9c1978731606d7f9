"""How the rays of a camera cross a voxel grid, as the renderers need it, with pose derivatives."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.plausibility import camera_doubts
from wsreg.geometry.rigid import inverse_affine, skew, transform_points

MAX_HALF_ANGLE_DEG = 30.0
"""A voxel axis can be 55 degrees off the optical axis; a ray must not run along its planes."""


_CROSS = skew(torch.eye(3, dtype=torch.float64))
"""[3,3,3]: _CROSS[j] @ p is e_j x p."""


@dataclass(frozen=True, kw_only=True)
class PlaneAxes:
    """Voxel axes (0 = x, 1 = y, 2 = z): rays follow ``w`` most, image columns follow ``u``."""

    u: int
    v: int
    w: int


@dataclass(frozen=True, kw_only=True)
class PlaneSampling:
    """Where rays are sampled: on every ``stride``-th plane across ``axes.w``."""

    axes: PlaneAxes
    stride: int


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
    """Refuse a camera whose rays do not stay well within 90 degrees of the optical axis."""
    columns, rows = camera.columns - 1, camera.rows - 1
    corners = torch.tensor([[0, 0], [columns, 0], [0, rows], [columns, rows]], dtype=torch.float64)
    offset_mm = camera.detector_points(corners)[:, :2].norm(dim=1).max().item()
    angle_deg = math.degrees(math.atan2(offset_mm, camera.source_to_detector_mm))
    if angle_deg > MAX_HALF_ANGLE_DEG:
        doubts = " and ".join(doubt.rstrip(".") for doubt in camera_doubts(camera).values())
        raise InputError(
            f"camera rays must stay within {MAX_HALF_ANGLE_DEG:.0f} degrees of the optical axis, "
            f"its corners are {angle_deg:.0f} degrees away: {doubts or repr(camera)}"
        )


def ray_geometry(
    camera_from_ct: Tensor,
    ct_from_voxel: Tensor,
    pivot_mm: Tensor,
    camera: Camera,
    corners_mm: Tensor,
) -> RayGeometry:
    """Return the rays of poses [B,4,4] and their derivatives about the pivot [3] (CT, LPS mm).

    They lie on the poses' device.
    """
    poses = camera_from_ct.detach().to(torch.float64)
    voxel_from_camera = inverse_affine(poses @ ct_from_voxel.to(poses))
    linear, source = voxel_from_camera[:, :3, :3], voxel_from_camera[:, :3, 3]
    pivot_camera = transform_points(poses, pivot_mm.to(poses)[None])[:, 0]
    # A rotation about e_j through the pivot c moves p by e_j x (p - c), so the linear part
    # changes by -linear [e_j x], and the source by linear (e_j x c).
    turning = linear[:, None] @ -_CROSS.to(poses)
    by_rotation = -(turning @ pivot_camera[:, None, :, None])[..., 0]
    depth = poses[:, 2, :3] @ corners_mm.to(poses).T + poses[:, 2, 3:]
    return RayGeometry(
        source=source,
        linear=linear,
        source_by_pose=torch.cat((by_rotation, -linear.transpose(1, 2)), dim=1),
        linear_by_pose=torch.cat((turning, torch.zeros_like(turning)), dim=1),
        reaches_outside=bool(((depth <= 0) | (depth >= camera.source_to_detector_mm)).any()),
    )


def plane_samplings(
    linear: Tensor, ct_from_voxel: Tensor, step_mm: float | None
) -> list[PlaneSampling]:
    """Choose the voxel planes that the rays of B poses are sampled on.

    The planes lie across the voxel axis closest to the optical axis, columns along the axis closest
    to the image's; as many are left out as keep the central ray's step at ``step_mm`` or below.

    Args:
        linear: [B,3,3] voxel displacement of one camera mm.
        ct_from_voxel: [4,4] affine of the grid.
        step_mm: longest step; every plane is sampled if None.

    Raises:
        InputError: the step is not positive.
    """
    if step_mm is not None and not (math.isfinite(step_mm) and step_mm > 0):
        raise InputError(f"step_mm must be positive and finite, got {step_mm!r}")
    turned = linear.detach().to("cpu", torch.float64).numpy()
    spacing = np.linalg.norm(ct_from_voxel.detach().cpu().numpy()[:3, :3], axis=0)
    along_depth, along_columns = (np.abs(turned[:, :, n] * spacing) for n in (2, 0))
    depth_axes = along_depth.argmax(axis=1)
    np.put_along_axis(along_columns, depth_axes[:, None], -1.0, axis=1)
    samplings = []
    for number, (w, u) in enumerate(
        zip(depth_axes.tolist(), along_columns.argmax(axis=1).tolist(), strict=True)
    ):
        planes = 1.0 if step_mm is None else step_mm * abs(float(turned[number, w, 2]))
        samplings.append(
            PlaneSampling(
                axes=PlaneAxes(u=u, v=3 - u - w, w=w), stride=max(1, math.floor(planes + 1e-6))
            )
        )
    return samplings


def first_plane(planes: int, stride: int) -> int:
    """Return the first sampled plane: they lie symmetrically in the grid."""
    return ((planes - 1) % stride) // 2
