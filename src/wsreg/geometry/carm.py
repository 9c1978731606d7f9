"""C-arm angles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CArmAngles:
    """DICOM positioner angles: primary + is LAO, secondary + is cranial; 0/0 is PA."""

    primary_rad: float
    secondary_rad: float
