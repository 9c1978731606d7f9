"""Whether a pose can be right at all, before anything is computed from it."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import inverse_rigid, transform_points


def check_plausible_pose(camera_from_ct: Tensor, camera: Camera, corners_mm: Tensor) -> None:
    """Refuse a pose at which the CT cannot have made the X-ray.

    Args:
        camera_from_ct: [4,4] rigid.
        camera: geometry of the X-ray.
        corners_mm: [8,3] corners of the CT (LPS mm).

    Raises:
        InputError: if the translation looks like metres, or the CT lies behind the source,
            beyond the detector, or beside the image; if the inverse would be right, it is named.
    """
    distance = float(camera_from_ct[:3, 3].norm())
    from_metres = camera_from_ct.clone()
    from_metres[:3, 3] *= 1000.0
    if 0.1 < distance < 10.0 and _problem(from_metres, camera, corners_mm) is None:
        raise InputError(
            f"pose camera_from_ct must be in millimetres, its translation of length {distance:.3g} "
            "looks like metres"
        )
    problem = _problem(camera_from_ct, camera, corners_mm)
    if problem is not None:
        inverted = _problem(inverse_rigid(camera_from_ct), camera, corners_mm) is None
        guess = "; its inverse does, is it ct_from_camera (--pose-convention)?" if inverted else ""
        raise InputError(f"pose camera_from_ct must place the CT {problem}{guess}")


def _problem(camera_from_ct: Tensor, camera: Camera, corners_mm: Tensor) -> str | None:
    """Say what a pose fails to do, and how; None if it is plausible."""
    corners = transform_points(camera_from_ct, corners_mm.to(camera_from_ct))
    nearest = float(corners[:, 2].min())
    if nearest <= 0:
        reach = "lies wholly" if float(corners[:, 2].max()) <= 0 else "reaches"
        return f"in front of the source, it {reach} behind the source (depth {nearest:.0f} mm)"
    depth = float(corners[:, 2].mean())
    if depth >= camera.source_to_detector_mm:
        return (
            f"between source and detector, its centre is {depth:.0f} mm away "
            f"and the detector {camera.source_to_detector_mm:.0f} mm"
        )
    pixels = camera.project(corners)
    size = torch.tensor([camera.columns, camera.rows], dtype=pixels.dtype)
    if bool((pixels.amax(dim=0) < -0.5).any() or (pixels.amin(dim=0) > size - 0.5).any()):
        return (
            "where it casts a shadow on the image, its projection misses "
            f"the {camera.columns} x {camera.rows} pixels altogether"
        )
    return None
