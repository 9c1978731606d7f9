"""Rigs: cameras whose places relative to each other are known, as of a biplane or a moved C-arm."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, inverse_rigid, rigid, transform_points
from wsreg.geometry.rigidity import mended_rigid

PARALLEL_DEG = 5.0
"""Axes closer to parallel than this cross nowhere that could be told."""

CLOSE_MM = 10.0
"""Sources of views in different directions are further apart than this, unless mm are metres."""

APART_DEG = 30.0
"""Cameras this far apart that see the same patient have axes that meet in front of both: the field
of a C-arm ends 10 degrees or so off its axis."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RigView:
    """One camera of a rig.

    Args:
        name: of the view, unique in its rig.
        camera: its geometry, or None where the X-ray itself carries it.
        camera_from_rig: [4,4] rigid, rig mm -> camera mm, a tensor, an array or rows of numbers;
            kept as a float64 tensor.
        notes: sentences on what was taken for granted or mended.

    Raises:
        InputError: for an empty name or a matrix that is not rigid.
    """

    name: str
    camera: Camera | None = None
    camera_from_rig: Tensor
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InputError(f"rig view name must be a text that is not empty, got {self.name!r}")
        where = f"rig view {self.name!r} camera_from_rig"
        pose, note = mended_rigid(self.camera_from_rig, where)
        object.__setattr__(self, "camera_from_rig", pose)
        if note is not None:
            object.__setattr__(self, "notes", (*self.notes, note))


@dataclass(frozen=True, kw_only=True, eq=False)
class Rig:
    """Cameras in one common frame, the rig's, which may lie anywhere.

    Args:
        views: at least one; their names differ, and not in case alone.

    Raises:
        InputError: for no view, names that repeat, translations that look like metres, or axes
            that meet behind a source.
    """

    views: tuple[RigView, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", tuple(self.views))
        if not self.views:
            raise InputError("rig must have at least one view, got none")
        names = [view.name.casefold() for view in self.views]
        repeated = sorted({v.name for v in self.views if names.count(v.name.casefold()) > 1})
        if repeated:
            raise InputError(
                f"rig views must have names of their own, got {', '.join(repeated)} repeatedly"
            )
        _check_millimetres([view.camera_from_rig for view in self.views])
        for a, b in itertools.combinations(self.views, 2):
            _check_meet_in_front(a, b)


def relative(rig: Rig) -> list[Tensor]:
    """Return [4,4] float64 of each view: from the first view's camera to its own.

    The first is the identity.  With a pose in the first view, ``relative(rig)[v] @ camera_from_ct``
    is the pose in view v.
    """
    first, *others = (view.camera_from_rig for view in rig.views)
    rig_from_first = inverse_rigid(first)
    return [torch.eye(4, dtype=torch.float64), *(other @ rig_from_first for other in others)]


def angle_between_views_deg(a: Tensor, b: Tensor) -> float:
    """Return the angle between the optical axes of two views, modulo direction: 0 to 90 degrees.

    Views from opposite sides see no more of depth than one of them, and have an angle of 0.

    Args:
        a, b: [4,4] rigid ``camera_from_rig``.
    """
    angle = _angle_deg(a[2, :3], b[2, :3])
    return min(angle, 180.0 - angle)


def nearest_point_to_axes(
    camera_from_rig: Sequence[Tensor], axes_camera: Sequence[Tensor] | None = None
) -> Tensor | None:
    """Return [3] float64, the rig point (mm) nearest to the axes of all views by least squares.

    None if all are within ``PARALLEL_DEG`` of parallel, or there is one only.

    Args:
        camera_from_rig: [4,4] rigid of each view.
        axes_camera: [3] direction of each view's axis in its camera, from the source; the optical
            axes if left out.
    """
    if axes_camera is None:
        axes_camera = [torch.tensor((0.0, 0.0, 1.0), dtype=torch.float64)] * len(camera_from_rig)
    rig_from_camera = [inverse_rigid(matrix.to(torch.float64)) for matrix in camera_from_rig]
    directions = [
        matrix[:3, :3] @ (axis.to(torch.float64) / axis.norm())
        for matrix, axis in zip(rig_from_camera, axes_camera, strict=True)
    ]
    angles = [_angle_deg(a, b) for a, b in itertools.combinations(directions, 2)]
    if all(min(angle, 180.0 - angle) < PARALLEL_DEG for angle in angles):
        return None
    identity = torch.eye(3, dtype=torch.float64)
    across = [identity - torch.outer(direction, direction) for direction in directions]
    pulls = [part @ m[:3, 3] for part, m in zip(across, rig_from_camera, strict=True)]
    point: Tensor = torch.linalg.solve(
        torch.stack(across).sum(dim=0), torch.stack(pulls).sum(dim=0)
    )
    return point


def orbit_rig(
    camera: Camera,
    *,
    angle_rad: float,
    source_to_isocentre_mm: float,
    names: tuple[str, str] = ("view-1", "view-2"),
) -> Rig:
    """Return the rig of a C-arm that is turned about its isocentre; the first camera is the rig.

    The isocentre lies on the optical axis, the axis of the turn along the camera's y, which is the
    patient's long axis with the head up.  If the first view is PA, the second has the primary
    angle ``angle_rad``: the detector moves towards the patient's left.

    Raises:
        InputError: for an angle that is not finite, or an isocentre not between source and
            detector.
    """
    if not math.isfinite(angle_rad):
        raise InputError(f"angle_rad must be finite, got {angle_rad!r}")
    if not 0 < source_to_isocentre_mm < camera.source_to_detector_mm:
        raise InputError(
            "source_to_isocentre_mm must be over 0 and below the source-to-detector distance of "
            f"{camera.source_to_detector_mm:g} mm, got {source_to_isocentre_mm!r}"
        )
    turn = exp_so3(torch.tensor((0.0, angle_rad, 0.0), dtype=torch.float64))
    isocentre = torch.tensor((0.0, 0.0, source_to_isocentre_mm), dtype=torch.float64)
    poses = (torch.eye(4, dtype=torch.float64), rigid(turn, isocentre - turn @ isocentre))
    return Rig(
        views=tuple(
            RigView(name=name, camera=camera, camera_from_rig=pose)
            for name, pose in zip(names, poses, strict=True)
        )
    )


def _angle_deg(a: Tensor, b: Tensor) -> float:
    """Return the angle between two directions [3], 0 to 180 degrees, exact near both ends."""
    sine, cosine = torch.linalg.cross(a, b).norm(), torch.dot(a, b)
    return math.degrees(math.atan2(float(sine), float(cosine)))


def _check_millimetres(camera_from_rig: Sequence[Tensor]) -> None:
    """Refuse views in different directions whose sources are all but in one place."""
    sources = [inverse_rigid(matrix)[:3, 3] for matrix in camera_from_rig]
    angle, distance = 0.0, 0.0
    for i, j in itertools.combinations(range(len(sources)), 2):
        angle = max(angle, _angle_deg(camera_from_rig[i][2, :3], camera_from_rig[j][2, :3]))
        distance = max(distance, float((sources[i] - sources[j]).norm()))
    if angle > PARALLEL_DEG and distance < CLOSE_MM:
        raise InputError(
            "rig camera_from_rig must map rig to camera in millimetres, but the sources of views "
            f"up to {angle:.0f} degrees apart lie within {distance:.3g} mm of each other, as if "
            "these were metres, or inverse matrices"
        )


def _check_meet_in_front(a: RigView, b: RigView) -> None:
    """Refuse two views that cannot see the same patient: z away from the detector, or mirrored."""
    poses = (a.camera_from_rig, b.camera_from_rig)
    if angle_between_views_deg(*poses) < APART_DEG:
        return
    point = nearest_point_to_axes(poses)
    assert point is not None  # they are far from parallel
    for view in (a, b):
        depth = float(transform_points(view.camera_from_rig, point[None])[0, 2])
        if depth <= 0:
            raise InputError(
                "rig camera_from_rig must have +z from the source to the detector, but the axes of "
                f"views {a.name!r} and {b.name!r} meet {-depth:.0f} mm behind the source of "
                f"{view.name!r}"
            )
