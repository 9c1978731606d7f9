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

ISOCENTRE_SHARE = 0.7
"""Where the patient is, as a share of the way from the source to the detector, if nobody says."""


def view_pose(
    centre_ct_mm: Tensor,
    camera: Camera,
    view: str | CArmAngles,
    source_to_isocentre_mm: float | None = None,
) -> Tensor:
    """[4,4] float64 ``camera_from_ct`` of a view, head up, with a point in the image's centre.

    Args:
        centre_ct_mm: [3] point of the CT (LPS mm) that lies on the ray through the image's centre.
        camera: geometry.
        view: one of ``VIEWS``, in any case, or C-arm angles.
        source_to_isocentre_mm: depth of that point; 0.7 of the source-to-detector distance by
            default.

    Raises:
        InputError: for an unknown view.
    """
    if isinstance(view, str):
        if view.upper() not in VIEWS:
            raise InputError(f"view must be one of {', '.join(VIEWS)}, got {view!r}")
        view = VIEWS[view.upper()]
    depth = source_to_isocentre_mm or ISOCENTRE_SHARE * camera.source_to_detector_mm
    middle_px = torch.tensor(
        [(camera.columns - 1) / 2, (camera.rows - 1) / 2], dtype=torch.float64
    )
    centre = camera.detector_points(middle_px) * (depth / camera.source_to_detector_mm)
    rotation = rotation_from_angles(view)
    return rigid(rotation, centre - rotation @ centre_ct_mm.to(torch.float64))
