"""Whether a camera or a pose can be right at all, before anything is computed from it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import inverse_rigid, transform_points

USUAL_DISTANCE_MM = (300.0, 3000.0)
"""Distances from source to detector that a machine has."""

USUAL_DETECTOR_MM = (50.0, 600.0)
"""Length of a detector's longer side."""

_OTHER_UNITS = {"centimetres": 10.0, "metres": 1000.0, "micrometres": 0.001}
"""Units that a length may be in, and millimetres in each."""


def camera_warnings(
    camera: Camera,
    names: Iterable[str] = ("source_to_detector_mm", "pixel_spacing_mm", "principal_point_px"),
) -> list[str]:
    """Return sentences on those of a camera's values that no machine has."""
    doubts = camera_doubts(camera)
    return [f"Warning: {doubts[name]}" for name in names if name in doubts]


def camera_doubts(camera: Camera) -> dict[str, str]:
    """Return what is wrong with a camera's values, by their names; nothing, if all can be."""
    doubts = {}
    distance_mm = camera.source_to_detector_mm
    low, high = USUAL_DISTANCE_MM
    if not low <= distance_mm <= high:
        doubts["source_to_detector_mm"] = (
            f"source_to_detector_mm {distance_mm:g} is outside of {low:g} to {high:g} mm, which "
            f"machines have{_in_other_units(distance_mm, USUAL_DISTANCE_MM)}"
        )
    sides = [camera.rows * camera.pixel_spacing_mm[0], camera.columns * camera.pixel_spacing_mm[1]]
    low, high = USUAL_DETECTOR_MM
    if not low <= max(sides) <= high:
        rows_mm, columns_mm = camera.pixel_spacing_mm
        doubts["pixel_spacing_mm"] = (
            f"pixel_spacing_mm ({rows_mm:g}, {columns_mm:g}) makes the image {min(sides):.3g} x "
            f"{max(sides):.3g} mm large at the detector, detectors are {low:g} to {high:g} mm"
            f"{_in_other_units(max(sides), USUAL_DETECTOR_MM)}"
        )
    column, row = camera.centre_px
    place = f"principal_point_px, column {column:g} and row {row:g}, lies"
    size = f"{camera.columns} columns and {camera.rows} rows"
    if not (-0.5 <= column <= camera.columns - 0.5 and -0.5 <= row <= camera.rows - 0.5):
        doubts["principal_point_px"] = f"{place} outside of the image of {size}."
    elif 8 * max(column, row) < min(camera.columns, camera.rows) - 1:
        doubts["principal_point_px"] = (
            f"{place} in the corner of the image of {size}; does it count from the first pixel, "
            "in pixels?"
        )
    return doubts


def _in_other_units(length: float, usual: tuple[float, float]) -> str:
    """End a sentence with the unit in which a length would be usual, if there is one."""
    for unit, mm in _OTHER_UNITS.items():
        if usual[0] <= mm * length <= usual[1]:
            return f"; is it in {unit}?"
    return "."


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
    pose, corners = camera_from_ct.detach().to("cpu", torch.float64), corners_mm.to(torch.float64)
    _check_not_in_metres(pose, camera, corners)
    problem = _problem(pose, camera, corners)
    if problem is not None:
        guess = ""
        if _problem(inverse_rigid(pose), camera, corners) is None:
            guess = "; its inverse does, is it ct_from_camera (--pose-convention)?"
        elif _problem(_scaled(pose, 10.0), camera, corners) is None:
            guess = "; times ten its translation does, is it in centimetres?"
        raise InputError(f"pose camera_from_ct must place the CT {problem}{guess}")


def check_meant_poses(camera_from_ct: Tensor, camera: Camera, corners_mm: Tensor) -> None:
    """Refuse poses [B,4,4] that show no CT, but would in metres or as their inverse.

    Other poses at which the CT cannot be seen are let through, for an empty image may be asked for.

    Args:
        camera_from_ct, camera, corners_mm: as for :func:`check_plausible_pose`.

    Raises:
        InputError: as :func:`check_plausible_pose`.
    """
    poses, points = camera_from_ct.detach().to("cpu", torch.float64), corners_mm.to(torch.float64)
    corners = transform_points(poses, points.expand(len(poses), *points.shape))
    pixels = camera.project(corners)
    last = torch.tensor([camera.columns, camera.rows]) - 0.5
    good = (corners[..., 2] > 0).all(dim=-1)
    good &= corners[..., 2].mean(dim=-1) < camera.source_to_detector_mm
    good &= ((pixels.amax(dim=1) >= -0.5) & (pixels.amin(dim=1) <= last)).all(dim=-1)
    for pose in poses[~good]:
        _check_not_in_metres(pose, camera, points)
        if _problem(inverse_rigid(pose), camera, points) is None:
            check_plausible_pose(pose, camera, points)


def _check_not_in_metres(pose: Tensor, camera: Camera, corners_mm: Tensor) -> None:
    distance = float(pose[:3, 3].norm())
    if 0.1 < distance < 10.0 and _problem(_scaled(pose, 1000.0), camera, corners_mm) is None:
        raise InputError(
            f"pose camera_from_ct must be in millimetres, its translation of length {distance:.3g} "
            "looks like metres"
        )


def _scaled(pose: Tensor, scale: float) -> Tensor:
    """Return a pose with its translation in other units."""
    scaled = pose.clone()
    scaled[:3, 3] *= scale
    return scaled


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
