"""Poses of DiffDRR and xvr, to and from ours.

Source: https://github.com/eigenvivek/DiffDRR, ``diffdrr/detector.py``, ``data.py``, ``pose.py`` as
they are since ``diffdrr.data.read`` has an ``orientation``; xvr renders with them.

A ``RigidTransform``'s matrix E maps the reoriented C-arm to the world, RAS millimetres counted from
the centre of the CT's grid (``canonicalize``).  In the C-arm's own frame the source is the origin
and the detector lies at +z; row 0 is at +y, and column 0 at -x, or at +x with ``reverse_x_axis``.
So a point of the detector is at E @ reorient(orientation) @ p.  Its axes along columns, rows and
beam are right-handed with ``reverse_x_axis`` only; the reorientation of ``PA`` reflects, those of
``AP`` and None do not.  Where one reflection is left, DiffDRR's image is mirrored against what the
camera sees.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.errors import InputError

_REORIENT = {
    "AP": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "PA": ((1, 0, 0), (0, 0, 1), (0, 1, 0)),
    None: ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}
_RAS_FROM_LPS = torch.diag(torch.tensor((-1.0, -1.0, 1.0, 1.0), dtype=torch.float64))


def is_mirrored(*, orientation: str | None, reverse_x_axis: bool) -> bool:
    """Return whether DiffDRR's image has left and right exchanged against the camera's."""
    return reverse_x_axis == (orientation == "PA")


def camera_from_centred_ct(
    matrix: Tensor, *, orientation: str | None, reverse_x_axis: bool
) -> Tensor:
    """Return [4,4] float64 ``camera_from_ct`` of a ``RigidTransform``'s matrix [4,4].

    CT points are LPS millimetres counted from the centre of the CT's grid.  Where the image is
    mirrored (:func:`is_mirrored`) the pose belongs to it with left and right exchanged.

    Raises:
        InputError: for an orientation that DiffDRR does not have.
    """
    world_from_carm = matrix.to(torch.float64) @ _reorient(orientation)
    flip = _camera_from_carm(orientation=orientation, reverse_x_axis=reverse_x_axis)
    pose: Tensor = flip @ torch.linalg.inv(world_from_carm) @ _RAS_FROM_LPS
    return pose


def diffdrr_from_camera_from_centred_ct(
    camera_from_ct: Tensor, *, orientation: str | None, reverse_x_axis: bool
) -> Tensor:
    """Undo :func:`camera_from_centred_ct`: [4,4] float64 matrix of a ``RigidTransform``."""
    flip = _camera_from_carm(orientation=orientation, reverse_x_axis=reverse_x_axis)
    carm_from_world = flip @ camera_from_ct.to(torch.float64) @ _RAS_FROM_LPS
    matrix: Tensor = torch.linalg.inv(carm_from_world) @ torch.linalg.inv(_reorient(orientation))
    return matrix


def _camera_from_carm(*, orientation: str | None, reverse_x_axis: bool) -> Tensor:
    """Return the [4,4] change of axes: columns, or those of the mirrored image, and rows."""
    across = -1.0 if reverse_x_axis else 1.0
    if is_mirrored(orientation=orientation, reverse_x_axis=reverse_x_axis):
        across = -across
    return torch.diag(torch.tensor((across, -1.0, 1.0, 1.0), dtype=torch.float64))


def _reorient(orientation: str | None) -> Tensor:
    if orientation not in _REORIENT:
        raise InputError(f"orientation must be AP, PA or null, as DiffDRR's, got {orientation!r}")
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.tensor(_REORIENT[orientation], dtype=torch.float64)
    return matrix
