"""Whether a matrix is a rigid motion: rounding is mended, everything else refused by its cause."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.arrays import as_float64, in_words

RIGID_TOLERANCE = 1e-3
"""How far the 3x3 part times its transpose may be from the identity."""

THREE_DECIMALS_TOLERANCE = 1.8e-3
"""The same for a 3x3 part that was written with three decimals: what their rounding can do."""

SILENT_TOLERANCE = 1e-5
"""Up to here the rotation is made exact without a word: rounding of six written digits."""

_SCALES = {
    10.0: "millimetres made from centimetres",
    0.1: "centimetres made from millimetres",
    1000.0: "millimetres made from metres",
    0.001: "metres made from millimetres",
}
"""What a scale of the 3x3 part may come from."""


def check_rigid(matrix: Any, name: str) -> Tensor:
    """Return a matrix (a tensor, an array, rows of numbers) in float64, if it is rigid.

    Its rotation is made exact.

    Raises:
        InputError: for what is no matrix of numbers, a wrong shape, NaN or inf, a last row other
            than 0 0 0 1, or a rotation part that is not a rotation (its determinant is named).
    """
    return mended_rigid(matrix, name)[0]


def mended_rigid(matrix: Any, name: str) -> tuple[Tensor, str | None]:
    """Return a rigid matrix in float64 with its rotation made exact, and a sentence if that shows.

    Args:
        matrix: [4,4], a tensor, an array or rows of numbers.
        name: of the matrix, for messages.

    Raises:
        InputError: as :func:`check_rigid`.
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
        transposed = found[:, 3].tolist() == [0.0, 0.0, 0.0, 1.0]
        guess = "; is it transposed? Its translation is in the last row" if transposed else ""
        raise InputError(f"{name} must have the last row 0 0 0 1, got {last}{guess}")
    rotation = found[:3, :3]
    _check_rotation(rotation, name)
    u, _, vh = torch.linalg.svd(rotation)
    exact = found.clone()
    exact[:3, :3] = u @ vh
    exact[3] = torch.tensor((0.0, 0.0, 0.0, 1.0))
    error = float(off_orthonormal(rotation))
    if error <= SILENT_TOLERANCE:
        return exact, None
    return exact, (
        f"The rotation of {name} was orthonormal to {error:.1g} only, as if rounded; "
        "the nearest rotation is taken."
    )


def check_all_rigid(poses: Tensor, name: str) -> None:
    """Refuse poses [...,4,4] of which any is not rigid; nothing is mended.

    Raises:
        InputError: naming the worst one's fault.
    """
    flat = poses.detach().reshape(-1, 4, 4).to("cpu", torch.float64)
    rotations = flat[:, :3, :3]
    last = torch.tensor((0.0, 0.0, 0.0, 1.0), dtype=torch.float64)
    good = off_orthonormal(rotations) <= SILENT_TOLERANCE
    good &= torch.linalg.det(rotations) > 0
    good &= (flat[:, 3] == last).all(dim=-1)
    for pose in flat[~good]:
        check_rigid(pose, name)


def off_orthonormal(rotation: Tensor) -> Tensor:
    """Return [...] the largest entry of R R^T - 1 of matrices [...,3,3], without its sign."""
    identity = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
    return (rotation @ rotation.transpose(-1, -2) - identity).abs().amax(dim=(-2, -1))


def _check_rotation(rotation: Tensor, name: str) -> None:
    determinant, error = float(torch.linalg.det(rotation)), float(off_orthonormal(rotation))
    rounded = bool(((rotation * 1e3).round() / 1e3 - rotation).abs().max() < 1e-12)
    if determinant > 0 and error <= (THREE_DECIMALS_TOLERANCE if rounded else RIGID_TOLERANCE):
        return
    raise InputError(
        f"{name} must be rigid, but its 3x3 part is no rotation "
        f"(determinant {determinant:.6g}, columns off orthonormal by {error:.2g}"
        f"{_cause(rotation, determinant)})"
    )


def _cause(rotation: Tensor, determinant: float) -> str:
    """Return what the 3x3 part is instead of a rotation, as the end of a sentence."""
    scale = abs(determinant) ** (1 / 3)
    if scale < 1e-9 or float(off_orthonormal(rotation / scale)) > RIGID_TOLERANCE:
        return ""
    parts = [] if determinant > 0 else ["it mirrors"]
    if abs(scale - 1) > RIGID_TOLERANCE / 2:
        guess = next((why for s, why in _SCALES.items() if abs(scale / s - 1) < 1e-2), None)
        parts.append(f"it scales by {scale:.4g}" + (f", {guess}?" if guess else ""))
    return "".join(f"; {part}" for part in parts)
