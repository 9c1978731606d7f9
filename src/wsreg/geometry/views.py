"""Poses of the named radiographic views."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles, rotation_from_angles
from wsreg.geometry.rigid import rigid

VIEWS = {
    "PA": CArmAngles(primary_rad=0.0, secondary_rad=0.0),
    "AP": CArmAngles(primary_rad=math.pi, secondary_rad=0.0),
    "LAT": CArmAngles(primary_rad=math.pi / 2, secondary_rad=0.0),
    "RLAT": CArmAngles(primary_rad=-math.pi / 2, secondary_rad=0.0),
}
"""PA: rays run to the front.  AP: to the back.  LAT: to the patient's left.  RLAT: to the right."""

ISOCENTRE_FRACTION = 0.7
"""Where the patient is on the way from the source to the detector, if nobody says."""


def pose_towards(
    centre_ct_mm: Tensor,
    camera: Camera,
    view: str | CArmAngles,
    source_to_isocentre_mm: float | None = None,
) -> Tensor:
    """Return [4,4] float64 ``camera_from_ct`` of a view, head up, a point of the CT in its middle.

    The point lies on the optical axis if that meets the image, else on the ray through the
    image's centre.

    Args:
        centre_ct_mm: [3] the point (LPS mm).
        camera: geometry.
        view: one of ``VIEWS``, in any case, or C-arm angles.
        source_to_isocentre_mm: depth of the point; 0.7 of the source-to-detector distance if None.

    Raises:
        InputError: for an unknown view, or a depth that is not positive.
    """
    depth = source_to_isocentre_mm
    if depth is None:
        depth = ISOCENTRE_FRACTION * camera.source_to_detector_mm
    if not 0 < depth < math.inf:
        raise InputError(f"source_to_isocentre_mm must be positive and finite, got {depth!r}")
    centre = middle_ray(camera) * (depth / camera.source_to_detector_mm)
    rotation = rotation_from_angles(_view_angles(view))
    return rigid(rotation, centre - rotation @ centre_ct_mm.to(torch.float64))


def nearest_view(camera_from_ct: Tensor) -> str:
    """Return the name of the view whose rays run most like those of a pose [4,4]."""
    along = camera_from_ct[2, :3].to(torch.float64)
    rays = {name: rotation_from_angles(angles)[2] for name, angles in VIEWS.items()}
    return max(rays, key=lambda name: float(rays[name] @ along))


def middle_ray(camera: Camera) -> Tensor:
    """Return [3] float64, where the ray through the image's middle meets the detector (camera, mm).

    It is the optical axis if that meets the image, else the ray through the image's centre.
    """
    return camera.detector_points(torch.tensor(_middle_px(camera), dtype=torch.float64))


def _view_angles(view: str | CArmAngles) -> CArmAngles:
    if isinstance(view, CArmAngles):
        return view
    if not isinstance(view, str) or view.upper() not in VIEWS:
        raise InputError(f"view must be one of {', '.join(VIEWS)}, got {view!r}")
    return VIEWS[view.upper()]


def _middle_px(camera: Camera) -> tuple[float, float]:
    """Return (column, row) of the principal point if in the image, else of the image's centre."""
    column, row = camera.centre_px
    if -0.5 <= column <= camera.columns - 0.5 and -0.5 <= row <= camera.rows - 0.5:
        return column, row
    return (camera.columns - 1) / 2, (camera.rows - 1) / 2
