"""The names under which files keep OpenCV's camera and pose, and ours for them."""

from __future__ import annotations

from typing import Any

from wsreg.errors import InputError

_NAMES = {
    "K": ("K", "camera_matrix", "cameraMatrix", "intrinsic_matrix", "Camera_Matrix"),
    "R": ("R", "rotation", "rotation_matrix", "Rotation"),
    "t": ("t", "T", "translation", "translation_vector", "Translation"),
    "rvec": ("rvec", "rotation_vector"),
    "tvec": ("tvec",),
    "distortion": (
        "D", "dist", "dist_coeffs", "distCoeffs", "distortion", "distortion_coefficients",
        "Distortion_Coefficients", "undistortion",
    ),
    "rows": ("rows", "image_height", "image_Height", "height"),
    "columns": ("columns", "cols", "image_width", "image_Width", "width"),
}  # fmt: skip


def with_our_names(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """Return fields with the names that this package gives to OpenCV's; others stay.

    Raises:
        InputError: one thing under two names; ``name`` says of what.
    """
    ours = {theirs: our for our, names in _NAMES.items() for theirs in names}
    renamed: dict[str, Any] = {}
    for field, value in fields.items():
        our = ours.get(field, field)
        if our in renamed:
            raise InputError(f"{name} must give {our} once, got it under two names")
        renamed[our] = value
    return renamed


def check_no_distortion(fields: dict[str, Any], name: str) -> None:
    """Refuse coefficients of a lens distortion that are not all zero: nothing is undistorted here.

    Raises:
        InputError: naming the largest.
    """
    from wsreg.geometry.arrays import as_float64

    given = fields.get("distortion")
    if given is None:
        return
    numbers = as_float64(given)
    if numbers is None or not bool((numbers == 0).all()):
        raise InputError(
            f"{name} must have no distortion, for X-rays are not undistorted here: undistort them "
            f"first and set the coefficients to zero, got {given}"
        )
