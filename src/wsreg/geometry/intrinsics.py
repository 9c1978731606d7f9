"""Cameras of OpenCV's K and of projection matrices P ~ K [R|t]."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.conventions import camera_from_opencv
from wsreg.geometry.rigid import rigid

NOMINAL_DISTANCE_MM = 1000.0
"""Source-to-detector distance, at least, where neither that nor the pixel spacing is known: the
projection is the same for any, but the patient must lie before the detector."""

SKEW_TOLERANCE = 1e-4
"""Skew over focal length that is taken for zero: a tenth of a pixel, a thousand pixels away."""

SPACING_TOLERANCE = 1e-2
"""How far the two distances may differ that the focal lengths and the pixel spacing give."""

OPENCV_SIZE = ("pixel_spacing_mm", "source_to_detector_mm")
"""Either gives the other with K; neither leaves the distance nominal."""


def decompose_projection(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return K [3,3] and ``camera_from_rig`` [4,4], float64, of a projection matrix P [3,4].

    P and -P, and every other multiple of it, are the same camera.  K is upper triangular with a
    positive diagonal and a last entry of 1, so that the 3x3 part of the pose is a rotation.

    Raises:
        InputError: if the left 3x3 part is singular, as of parallel rays.
    """
    matrix = matrix.to(torch.float64)
    if float(torch.linalg.det(matrix[:, :3])) < 0:
        matrix = -matrix
    # RQ of M is QR of its rows in reverse order, transposed
    q, r = torch.linalg.qr(matrix[:, :3].flip(0).T)
    intrinsic, rotation = r.T.flip(0, 1), q.T.flip(0)
    diagonal = intrinsic.diagonal()
    if float(diagonal.abs().min()) <= 1e-12 * float(diagonal.abs().max()):
        raise InputError("P must be of a point source, its left 3x3 part is singular")
    signs = torch.where(diagonal < 0, -1.0, 1.0).to(torch.float64)
    translation = torch.linalg.solve(intrinsic * signs, matrix[:, 3])
    pose = rigid(signs[:, None] * rotation, translation)
    return intrinsic * signs / intrinsic[2, 2].abs(), pose


def opencv_camera(intrinsic: Tensor, fields: dict[str, Any], where: str) -> Camera:
    """Return the camera of K; the projection is K's to the last digit, whatever the spacing."""
    if set(OPENCV_SIZE) <= fields.keys():
        raise InputError(
            f"{where} must have pixel_spacing_mm or source_to_detector_mm, not both: K gives the "
            "other"
        )
    skew, focal_px = float(intrinsic[0, 1]), float(intrinsic[0, 0])
    if abs(skew) > SKEW_TOLERANCE * abs(focal_px):
        raise InputError(
            f"{where} must have pixel rows and columns at right angles, got a skew of {skew:.4g} "
            f"with a focal length of {focal_px:.6g} px"
        )
    intrinsic = intrinsic.clone()
    intrinsic[0, 1] = 0.0
    try:
        camera = camera_from_opencv(
            intrinsic,
            rows=fields["rows"],
            columns=fields["columns"],
            source_to_detector_mm=_distance_mm(intrinsic, fields),
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return dataclasses.replace(camera, from_focal_lengths=True)


def _distance_mm(intrinsic: Tensor, fields: dict[str, Any]) -> float:
    """Return the source-to-detector distance: given, or by the pixel spacing, or nominal."""
    given = Camera(  # which checks the numbers
        source_to_detector_mm=fields.get("source_to_detector_mm", NOMINAL_DISTANCE_MM),
        rows=fields["rows"],
        columns=fields["columns"],
        pixel_spacing_mm=fields.get("pixel_spacing_mm", (1.0, 1.0)),
    )
    if "pixel_spacing_mm" not in fields:
        return given.source_to_detector_mm
    by_columns = float(intrinsic[0, 0]) * given.pixel_spacing_mm[1]
    by_rows = float(intrinsic[1, 1]) * given.pixel_spacing_mm[0]
    if not math.isclose(by_columns, by_rows, rel_tol=SPACING_TOLERANCE):
        raise InputError(
            "pixel_spacing_mm must give one source-to-detector distance with K, "
            f"got {by_columns:.1f} mm by columns and {by_rows:.1f} mm by rows"
        )
    return math.sqrt(by_columns * by_rows)
