"""The frames of a multi-frame DICOM X-ray, whose C-arm must have stood still."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsreg.dicom.files import read_dataset
from wsreg.dicom.header import Header, file_header, frame_headers
from wsreg.dicom.pixels import pixel_format
from wsreg.errors import InputError
from wsreg.radiographs.dicom import raw_of_dataset
from wsreg.radiographs.raw_xray import RawXray

ANGLES = (
    "PositionerPrimaryAngle",
    "PositionerSecondaryAngle",
    "PositionerIsocenterPrimaryAngle",
    "PositionerIsocenterSecondaryAngle",
    "PositionerIsocenterDetectorRotationAngle",
    "DetectorPrimaryAngle",
    "DetectorSecondaryAngle",
)
TABLE = (
    "TableTopVerticalPosition",
    "TableTopLongitudinalPosition",
    "TableTopLateralPosition",
    "TableXPositionToIsocenter",
    "TableYPositionToIsocenter",
    "TableZPositionToIsocenter",
    "TableHorizontalRotationAngle",
    "TableHeadTiltAngle",
    "TableCradleTiltAngle",
)
DISTANCES = ("DistanceSourceToDetector", "ImagerPixelSpacing")
"""What frames of an enhanced object may say each for itself."""
INCREMENTS = (
    "PositionerPrimaryAngleIncrement",
    "PositionerSecondaryAngleIncrement",
    "TableVerticalIncrement",
    "TableLongitudinalIncrement",
    "TableLateralIncrement",
)
"""What a classic object says of all frames in one list, against the first."""
STILL = 0.05
"""Degrees or millimetres by which a C-arm or table at rest may differ from frame to frame."""
MOVING = ("DYNAMIC",)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cine:
    """A multi-frame file, read once.

    Args:
        path: of the file.
        dataset: of pydicom.
        frames: how many there are.
    """

    path: Path
    dataset: Any
    frames: int

    def raw(self, number: int) -> RawXray:
        """Return what the file says of a frame, counted from 0.

        Raises:
            InputError: it cannot be decoded.
        """
        return raw_of_dataset(self.dataset, self.path, number)


def open_cine(path: Path) -> Cine:
    """Read a multi-frame X-ray.

    Raises:
        InputError: it cannot be read, or says that C-arm or table moved between its frames.
    """
    dataset = read_dataset(path)
    count = pixel_format(dataset, path).frames
    moved = moving_parts(dataset, count)
    if moved:
        raise InputError(
            f"{path} must be of one camera that stands still, its header says that from frame to "
            f"frame {moved}; register its frames one by one, with --frame"
        )
    return Cine(path=path, dataset=dataset, frames=count)


def moving_parts(dataset: Any, frames: int) -> str:
    """Return what a header says that moved between frames; empty if nothing did."""
    root = file_header(dataset)
    found = []
    for keyword in INCREMENTS:
        values = root.numbers(keyword) or ()
        if _spread(values[:frames]) > STILL:
            found.append(f"{keyword} goes from {min(values):g} to {max(values):g}")
    headers = frame_headers(dataset)[:frames]
    if headers:
        found += [
            text for keyword in (*ANGLES, *TABLE, *DISTANCES) if (text := _change(headers, keyword))
        ]
    if not found and root.word("TableMotion") in MOVING and not root.has("TableLateralIncrement"):
        found.append("the table moves (TableMotion DYNAMIC) and it does not say how far")
    if (
        not found
        and root.word("PositionerMotion") in MOVING
        and not any(root.has(keyword) for keyword in INCREMENTS[:2])
    ):
        found.append("the C-arm moves (PositionerMotion DYNAMIC) and it does not say how far")
    return " and ".join(found)


def _change(headers: list[Header], keyword: str) -> str:
    values = [own for own in (header.numbers(keyword) for header in headers) if own is not None]
    columns = list(zip(*values, strict=False))
    if not any(_spread(column) > STILL for column in columns):
        return ""
    return f"{keyword} goes from {min(columns[0]):g} to {max(columns[0]):g}"


def _spread(values: tuple[float, ...]) -> float:
    return max(values) - min(values) if values else 0.0
