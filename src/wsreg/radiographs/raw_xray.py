"""What a file says about an X-ray, before anything is decided or converted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wsreg.geometry.carm import CArmAngles
from wsreg.radiographs.orientation import Orientation

PixelMeaning = Literal["transmission", "log transmission", "attenuation"]
"""Proportional to the intensity reaching the detector; to its logarithm; or to minus that.
Air is bright in the first two, bone in the last."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RawXray:
    """Pixels and header of one X-ray file, in the rows and columns in which they are stored.

    Args:
        pixels: [H,W] numbers of any real type, after the file's own linear scaling.
        valid: [H,W] bool, False where the header declares padding; None if it declares none.
        orientation: how the stored image was turned after acquisition.
        source_to_detector_mm: from the header, or None.
        pixel_spacing_mm: (row spacing, column spacing) as stored, from the header, or None.
        angles: C-arm angles of this frame from the header, or None.
        meaning: how the header relates pixels to X-ray intensity, or None if it does not.
        meaning_reason: which header fields say so.
        meaning_disputed: whether header fields contradict each other about it.
        notes: sentences on what was found, assumed or ignored.
    """

    pixels: NDArray[Any]
    valid: NDArray[np.bool_] | None = None
    orientation: Orientation = field(default_factory=Orientation)
    source_to_detector_mm: float | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    angles: CArmAngles | None = None
    meaning: PixelMeaning | None = None
    meaning_reason: str = ""
    meaning_disputed: bool = False
    notes: tuple[str, ...] = ()
