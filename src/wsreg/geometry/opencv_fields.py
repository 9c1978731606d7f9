"""The names under which files keep OpenCV's camera and pose, and ours for them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wsreg.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

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
    from wsreg.geometry.arrays import as_float64, in_words

    given = fields.get("distortion")
    if given is None:
        return
    numbers = as_float64(given)
    if numbers is None or not bool((numbers == 0).all()):
        raise InputError(
            f"{name} must have no distortion, for X-rays are not undistorted here: undistort them "
            f"first and set the coefficients to zero, got {in_words(given)}"
        )


def rigid_of_fields(fields: dict[str, Any], name: str) -> tuple[Tensor, tuple[str, ...]]:
    """Return [4,4] of one rotation (R or rvec, rad) and one translation (t or tvec), with notes.

    Args:
        fields: under our names.
        name: of the file, for messages.

    Raises:
        InputError: none or two of a kind, numbers of another shape, or an rvec beyond a whole turn.
    """
    from wsreg.geometry.arrays import finite_numbers
    from wsreg.geometry.rigid import exp_so3, rigid

    turns = [field for field in ("R", "rvec") if field in fields]
    shifts = [field for field in ("t", "tvec") if field in fields]
    if len(turns) != 1 or len(shifts) != 1:
        raise InputError(
            f"{name} must hold one rotation (R or rvec) and one translation (t or tvec), "
            f"got {', '.join((*turns, *shifts))}"
        )
    column = ((3,), (3, 1), (1, 3))
    shift = finite_numbers(fields[shifts[0]], f"{name}: {shifts[0]}", *column).reshape(3)
    if turns == ["R"]:
        return rigid(finite_numbers(fields["R"], f"{name}: R", (3, 3)), shift), ()
    turn = finite_numbers(fields["rvec"], f"{name}: rvec", *column).reshape(3)
    return rigid(exp_so3(turn), shift), _doubts_of_rvec(float(turn.norm()), name)


def _doubts_of_rvec(length: float, name: str) -> tuple[str, ...]:
    """Return a note on a rotation vector that is longer than OpenCV writes them, half a turn."""
    if length > 2 * math.pi:
        raise InputError(
            f"{name}: rvec must be in radians and no longer than a whole turn (2 pi), got the "
            f"length {length:.4g}; is it in degrees?"
        )
    if length <= math.pi * (1 + 1e-6):
        return ()
    return (f"{name}: rvec of length {length:.4g} is taken for radians, more than half a turn.",)
