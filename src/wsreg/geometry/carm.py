"""C-arm angles, as DICOM's positioner angles give them, to and from orientations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class CArmAngles:
    """Where the detector stands about a supine patient; 0/0 is PA, the source under the table.

    Args:
        primary_rad: positioner primary angle (0018,1510); the detector moves towards the patient's
            left (LAO) as it grows.
        secondary_rad: positioner secondary angle (0018,1511); the detector moves towards the head
            (cranial) as it grows.
    """

    primary_rad: float
    secondary_rad: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.primary_rad) and math.isfinite(self.secondary_rad)):
            raise InputError(
                "C-arm angles must be finite, "
                f"got {self.primary_rad!r} and {self.secondary_rad!r} rad"
            )


def rotation_from_angles(angles: CArmAngles, roll_rad: float = 0.0) -> Tensor:
    """Return [3,3] float64 rotation of ``camera_from_ct`` (LPS to camera axes).

    The beam runs along (sin p cos s, -cos p cos s, sin s) from source to detector.  Without roll
    the head is up in the image; ``roll_rad`` turns the camera about the beam, from +x to +y.
    """
    p, s = angles.primary_rad, angles.secondary_rad
    beam = (math.sin(p) * math.cos(s), -math.cos(p) * math.cos(s), math.sin(s))
    # How the beam turns as each angle falls: unit vectors, defined also at s = +-90 degrees.
    across = (-math.cos(p), -math.sin(p), 0.0)
    down = (math.sin(p) * math.sin(s), -math.cos(p) * math.sin(s), -math.cos(s))
    level = torch.tensor((across, down, beam), dtype=torch.float64)
    turn = torch.tensor(
        [
            [math.cos(roll_rad), math.sin(roll_rad), 0.0],
            [-math.sin(roll_rad), math.cos(roll_rad), 0.0],
            [0.0, 0.0, 1.0],
        ],
        dtype=torch.float64,
    )
    return turn @ level


def angles_of_rotation(rotation: Tensor) -> tuple[CArmAngles, float]:
    """Return C-arm angles and roll (rad) of a ``camera_from_ct`` rotation [3,3].

    The inverse of :func:`rotation_from_angles` with the secondary angle in [-pi/2, pi/2].  At its
    ends primary angle and roll turn about the same axis; the primary angle is then 0.
    """
    matrix = rotation.to(torch.float64)
    x, y, z = matrix[2].tolist()
    horizontal = math.hypot(x, y)
    secondary = math.atan2(z, horizontal)
    primary = math.atan2(x, -y) if horizontal > 1e-9 else 0.0
    angles = CArmAngles(primary_rad=primary, secondary_rad=secondary)
    turn = matrix @ rotation_from_angles(angles).T
    return angles, math.atan2(float(turn[0, 1]), float(turn[0, 0]))
