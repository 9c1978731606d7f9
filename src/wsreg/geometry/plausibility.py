"""Whether a pose can be right at all, before anything is computed from it."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import transform_points


def check_plausible_pose(camera_from_ct: Tensor, camera: Camera, corners_mm: Tensor) -> None:
    """Refuse a pose at which the CT cannot have made the X-ray.

    Args:
        camera_from_ct: [4,4] rigid.
        camera: geometry of the X-ray.
        corners_mm: [8,3] corners of the CT (LPS mm).

    Raises:
        InputError: if the translation looks like metres, or the CT lies behind the source,
            beyond the detector, or beside the image.
    """
    corners = transform_points(camera_from_ct, corners_mm.to(camera_from_ct))
    centre = corners.mean(dim=0)
    in_metres = camera_from_ct.clone()
    in_metres[:3, 3] *= 1000.0
    scaled = transform_points(in_metres, corners_mm.to(camera_from_ct)).mean(dim=0)
    distance = float(camera_from_ct[:3, 3].norm())
    if distance < 10.0 and 50.0 < float(scaled[2]) < 2.0 * camera.source_to_detector_mm:
        raise InputError(
            f"pose camera_from_ct must be in millimetres, its translation of {distance:.3g} "
            "looks like metres"
        )
    if bool((corners[:, 2] <= 0).any()):
        raise InputError(
            "pose camera_from_ct must place the CT in front of the source, "
            f"its corners reach a depth of {float(corners[:, 2].min()):.0f} mm, behind the source"
        )
    if float(centre[2]) >= camera.source_to_detector_mm:
        raise InputError(
            "pose camera_from_ct must place the CT between source and detector, its centre is "
            f"{float(centre[2]):.0f} mm away and the detector {camera.source_to_detector_mm:.0f} mm"
        )
    pixels = camera.project(corners)
    size = torch.tensor([camera.columns, camera.rows], dtype=pixels.dtype)
    if bool((pixels.amax(dim=0) < 0).any() or (pixels.amin(dim=0) > size - 1).any()):
        raise InputError(
            "pose camera_from_ct must project the CT into the image, its shadow misses the "
            f"{camera.columns} x {camera.rows} pixels altogether"
        )
