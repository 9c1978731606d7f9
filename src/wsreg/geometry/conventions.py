"""Poses and cameras in DeepFluoro's and OpenCV's conventions, to and from ours.

**DeepFluoro** (https://github.com/rg2/DeepFluoroLabeling-IPCAI2020, ``hdf5_layouts/Readme.md``).
Its projective frame has the origin at the source, x along columns, y along rows, and z from the
detector *to the source*.  What is in front of the source has z < 0, and the intrinsic matrix has
-f, -f on its diagonal to make up for it.  Its frame and ours are both right-handed, so pixel axes
that lie along x and y in both are mirror images: DeepFluoro's image is what one sees facing the
source, as radiologists do; ours is what the source sees.  Turning its frame to ours therefore
mirrors the image too:

===================  ================================  =====================
``rot-180-for-up``   frame                             image
===================  ================================  =====================
0                    half turn about y, (-x, y, -z)    columns reversed
1                    half turn about x, (x, -y, -z)    rows reversed
===================  ================================  =====================

The second is the first followed by half a turn in the image plane, which puts the head up.  Poses
follow the file: ``extrinsic`` maps the camera's world frame to its projective frame, and
``cam-to-...-vol`` maps the camera's world frame to the CT (LPS mm).

**OpenCV**'s frame is ours: x along columns, y along rows, z away from the source, pixel centres at
whole numbers, with ``rvec, tvec`` mapping object points (here CT, LPS mm) to the camera.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, inverse_rigid, log_so3, rigid


def camera_from_ct_from_deepfluoro(
    extrinsic: Tensor, cam_to_vol: Tensor, *, rot_180_for_up: bool
) -> Tensor:
    """Return the [...,4,4] float64 pose of DeepFluoro's ``extrinsic`` and ``cam-to-...-vol``.

    Both of these are [...,4,4], too.

    It belongs to the image of :func:`image_from_deepfluoro`.
    """
    projective_from_ct = extrinsic.to(torch.float64) @ inverse_rigid(cam_to_vol.to(torch.float64))
    return _half_turn(rot_180_for_up) @ projective_from_ct


def deepfluoro_from_camera_from_ct(
    camera_from_ct: Tensor, extrinsic: Tensor, *, rot_180_for_up: bool
) -> Tensor:
    """Undo :func:`camera_from_ct_from_deepfluoro`: [...,4,4] float64 ``cam-to-...-vol``."""
    ct_from_camera = inverse_rigid(camera_from_ct.to(torch.float64))
    return ct_from_camera @ _half_turn(rot_180_for_up) @ extrinsic.to(torch.float64)


def camera_from_deepfluoro(
    intrinsic: Tensor,
    *,
    rows: int,
    columns: int,
    pixel_spacing_mm: tuple[float, float],
    rot_180_for_up: bool,
) -> Camera:
    """Return the camera of ``proj-params``, for the image of :func:`image_from_deepfluoro`.

    Args:
        intrinsic: [3,3], with -f_x and -f_y (pixels) on its diagonal.
        rows, columns: ``num-rows`` and ``num-cols``.
        pixel_spacing_mm: (``pixel-row-spacing``, ``pixel-col-spacing``).
        rot_180_for_up: the projection's flag.

    Raises:
        InputError: if the matrix has skew or positive focal lengths, or if the two focal lengths
            differ in mm.
    """
    (fx, _, column), (_, fy, row), _ = _checked_intrinsic(intrinsic, "DeepFluoro intrinsic", -1)
    distance_x, distance_y = -fx * pixel_spacing_mm[1], -fy * pixel_spacing_mm[0]
    if not math.isclose(distance_x, distance_y, rel_tol=1e-4):
        raise InputError(
            "DeepFluoro intrinsic must give one source-to-detector distance, "
            f"got {distance_x:.3f} mm by columns and {distance_y:.3f} mm by rows"
        )
    centre = pixels_from_deepfluoro(
        torch.tensor((column, row), dtype=torch.float64),
        rows=rows,
        columns=columns,
        rot_180_for_up=rot_180_for_up,
    ).tolist()
    return Camera(
        source_to_detector_mm=distance_x,
        rows=rows,
        columns=columns,
        pixel_spacing_mm=pixel_spacing_mm,
        principal_point_px=(centre[0], centre[1]),
    )


def deepfluoro_from_camera(camera: Camera, *, rot_180_for_up: bool) -> Tensor:
    """Undo :func:`camera_from_deepfluoro`: [3,3] float64 DeepFluoro ``intrinsic``."""
    intrinsic = camera.intrinsic_matrix
    intrinsic[:2, 2] = pixels_from_deepfluoro(
        intrinsic[:2, 2], rows=camera.rows, columns=camera.columns, rot_180_for_up=rot_180_for_up
    )
    return intrinsic * torch.tensor((-1.0, -1.0, 1.0), dtype=torch.float64)


def pixels_from_deepfluoro(
    pixels: Tensor, *, rows: int, columns: int, rot_180_for_up: bool
) -> Tensor:
    """Take pixels (column, row) [...,2], as ``gt-landmarks``, to our image; its own inverse."""
    column, row = pixels.unbind(-1)
    if rot_180_for_up:
        return torch.stack((column, rows - 1 - row), dim=-1)
    return torch.stack((columns - 1 - column, row), dim=-1)


def image_from_deepfluoro(image: Tensor, *, rot_180_for_up: bool) -> Tensor:
    """Return pixels or labels [...,H,W] as our camera sees them; it is its own inverse."""
    return image.flip(-2 if rot_180_for_up else -1)


def camera_from_ct_from_opencv(rvec: Tensor, tvec: Tensor) -> Tensor:
    """Return [...,4,4] pose of OpenCV's rotation vector [...,3] (rad), translation [...,3] (mm)."""
    return rigid(exp_so3(rvec), tvec)


def opencv_from_camera_from_ct(camera_from_ct: Tensor) -> tuple[Tensor, Tensor]:
    """Return OpenCV's ``rvec`` [...,3] and ``tvec`` [...,3] of a pose [...,4,4]."""
    return log_so3(camera_from_ct[..., :3, :3]), camera_from_ct[..., :3, 3]


def camera_from_opencv(
    intrinsic: Tensor, *, rows: int, columns: int, source_to_detector_mm: float
) -> Camera:
    """Return the camera of OpenCV's matrix K; ``Camera.intrinsic_matrix`` is the way back.

    K knows focal lengths in pixels only, so the distance fixes the pixel spacing.

    Raises:
        InputError: if K has skew or focal lengths that are not positive.
    """
    (fx, _, column), (_, fy, row), _ = _checked_intrinsic(intrinsic, "OpenCV K", 1)
    return Camera(
        source_to_detector_mm=source_to_detector_mm,
        rows=rows,
        columns=columns,
        pixel_spacing_mm=(source_to_detector_mm / fy, source_to_detector_mm / fx),
        principal_point_px=(column, row),
    )


def _half_turn(rot_180_for_up: bool) -> Tensor:
    axes = (1.0, -1.0, -1.0, 1.0) if rot_180_for_up else (-1.0, 1.0, -1.0, 1.0)
    return torch.diag(torch.tensor(axes, dtype=torch.float64))


def _checked_intrinsic(intrinsic: Tensor, name: str, focal_sign: int) -> list[list[float]]:
    """Return the rows of [[f_x, 0, c], [0, f_y, r], [0, 0, 1]], f having the given sign."""
    if intrinsic.shape != (3, 3):
        raise InputError(f"{name} must be a 3x3 matrix, got {list(intrinsic.shape)}")
    rows: list[list[float]] = intrinsic.to(torch.float64).tolist()
    (fx, skew, _), (zero, fy, _), last = rows
    if skew != 0 or zero != 0 or last != [0, 0, 1]:
        raise InputError(f"{name} must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], got {rows}")
    if not (fx * focal_sign > 0 and fy * focal_sign > 0):
        sign = "positive" if focal_sign > 0 else "negative"
        raise InputError(f"{name} must have {sign} focal lengths, got {fx} and {fy}")
    return rows
