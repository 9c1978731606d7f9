"""Undo the turn that an X-ray system gave to an image after acquiring it.

DICOM (PS3.3, DX Detector Module) describes the stored pixels as the detector's field of view,
first rotated clockwise by FieldOfViewRotation (0018,7032), then mirrored left to right if
FieldOfViewHorizontalFlip (0018,7034) is YES.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError

Directions = tuple[str, str]
"""The patient's directions along increasing columns and rows, in letters: L R, A P, H F."""

_OPPOSITES = str.maketrans("LRAPHF", "RLPAFH")


def opposite(letters: str) -> str:
    """Return the direction opposite to one in letters: ``LF`` for ``RH``."""
    return letters.translate(_OPPOSITES)


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """How stored pixels were made from the detector's.

    Args:
        rotation_deg: clockwise rotation applied first: 0, 90, 180 or 270.
        flipped: whether a left-right mirroring was applied after it.
    """

    rotation_deg: int = 0
    flipped: bool = False

    def __post_init__(self) -> None:
        if self.rotation_deg not in (0, 90, 180, 270):
            raise InputError(
                f"field of view rotation must be 0, 90, 180 or 270 degrees, got {self.rotation_deg}"
            )

    def undone(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return the stored [H,W] array as the detector, and so the camera, saw it."""
        unflipped = stored[:, ::-1] if self.flipped else stored
        return np.ascontiguousarray(np.rot90(unflipped, self.rotation_deg // 90))

    def undone_spacing(self, stored_mm: tuple[float, float]) -> tuple[float, float]:
        """Return (row, column) spacing of the undone image from that of the stored one."""
        row, column = stored_mm
        return (column, row) if self.rotation_deg in (90, 270) else (row, column)

    def undone_directions(self, stored: Directions) -> Directions:
        """Return the patient's directions in the undone image from those in the stored one."""
        columns, rows = stored
        if self.flipped:
            columns = opposite(columns)
        for _ in range(self.rotation_deg // 90):
            columns, rows = rows, opposite(columns)
        return columns, rows
