"""pose.json: a rigid pose, CT (LPS mm) to camera (mm)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.json_files import read_json_object
from wsreg.geometry.arrays import as_float64, in_words

RIGID_TOLERANCE = 1e-4
"""How far a rotation's columns may be from orthonormal: the rounding of six written digits."""


def read_pose(path: str | Path) -> Tensor:
    """Read the [4,4] float64 ``camera_from_ct`` of a pose.json (docs/conventions.md).

    Raises:
        InputError: for a missing or invalid file, another frame than LPS, other units than mm, or
            a matrix that is not rigid.
    """
    fields = read_json_object(path, ("camera_from_ct", "frame", "units"))
    for name, expected in (("frame", "LPS"), ("units", "mm")):
        if fields[name] != expected:
            raise InputError(f"{path}: {name} must be {expected!r}, got {fields[name]!r}")
    return check_rigid(fields["camera_from_ct"], f"{path}: camera_from_ct")


def pose_record(camera_from_ct: Tensor) -> dict[str, Any]:
    """Return the fields of pose.json."""
    return {
        "camera_from_ct": camera_from_ct.detach().to(torch.float64).tolist(),
        "frame": "LPS",
        "units": "mm",
    }


def check_rigid(matrix: Any, name: str) -> Tensor:
    """Return a matrix (a tensor, an array, rows of numbers) in float64, if it is rigid.

    Its rotation is made exact.

    Raises:
        InputError: for what is no matrix of numbers, a wrong shape, NaN or inf, a last row other
            than 0 0 0 1, or a rotation part that is not a rotation (its determinant is named).
    """
    found = as_float64(matrix)
    if found is None:
        raise InputError(f"{name} must be a 4x4 matrix of numbers, got {in_words(matrix)}")
    if found.shape != (4, 4):
        raise InputError(f"{name} must be a 4x4 matrix, got {list(found.shape)}")
    if not bool(torch.isfinite(found).all()):
        raise InputError(f"{name} must be finite, it holds NaN or infinity")
    last = found[3].tolist()
    if any(abs(a - b) > 1e-9 for a, b in zip(last, (0.0, 0.0, 0.0, 1.0), strict=True)):
        raise InputError(f"{name} must have the last row 0 0 0 1, got {last}")
    rotation = found[:3, :3]
    determinant = float(torch.linalg.det(rotation))
    error = (rotation @ rotation.T - torch.eye(3, dtype=torch.float64)).abs().max()
    if determinant <= 0 or float(error) > RIGID_TOLERANCE:
        raise InputError(
            f"{name} must be rigid, but its 3x3 part is no rotation "
            f"(determinant {determinant:.6g}, columns off orthonormal by {float(error):.2g})"
        )
    u, _, vh = torch.linalg.svd(rotation)
    exact = found.clone()
    exact[:3, :3] = u @ vh
    exact[3] = torch.tensor((0.0, 0.0, 0.0, 1.0))
    return exact
