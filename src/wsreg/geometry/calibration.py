"""Cameras as calibration tools write them down, whatever the format."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.arrays import finite_numbers
from wsreg.geometry.camera import Camera
from wsreg.geometry.intrinsics import OPENCV_SIZE, opencv_camera
from wsreg.geometry.opencv_fields import check_no_distortion, rigid_of_fields
from wsreg.geometry.rigidity import mended_rigid
from wsreg.vocabulary import CalibrationUnits

MM_PER_UNIT: dict[str, float] = {"mm": 1.0, "cm": 10.0, "m": 1000.0}


@dataclass(frozen=True, kw_only=True)
class CalibrationDetails:
    """What is known besides a calibration file, where it does not tell.

    Args:
        units: of its lengths.
        rows, columns: image size in pixels.
        pixel_spacing_mm: (row spacing, column spacing) at the detector.
        source_to_detector_mm: distance from the source to the detector.
    """

    units: CalibrationUnits | None = None
    rows: int | None = None
    columns: int | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    source_to_detector_mm: float | None = None

    def filling(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return fields with the image's size and lengths added where they lack them."""
        known = {name: value for name, value in dataclasses.asdict(self).items() if value}
        known.pop("units", None)
        if not set(OPENCV_SIZE).isdisjoint(fields):
            known = {name: value for name, value in known.items() if name not in OPENCV_SIZE}
        return known | fields


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """One camera of a calibration file.

    Args:
        name: of the camera.
        source: the file, for messages.
        camera: its geometry; None where the X-ray itself carries it.
        nominal: whether its distance is nominal, for K gives focal lengths in pixels only.
        place: [4,4] rigid, from the calibration's world to the camera, its translation in
            ``units``; None where the file has none.
        units: of the translation, if the file names them.
        notes: sentences on what was taken for granted.
    """

    name: str
    source: str
    camera: Camera | None
    nominal: bool = False
    place: Tensor | None = None
    units: str | None = None
    notes: tuple[str, ...] = ()

    def camera_from_world(self, units: str | None) -> Tensor:
        """Return [4,4] float64 rigid, world mm -> camera mm.

        Args:
            units: of the file's lengths, where it does not name them.

        Raises:
            InputError: there is no place, or its units are open or said to be others.
        """
        if self.place is None:
            raise InputError(
                f"{self.source} must tell where its camera stands (R and t), as each camera of a "
                "rig and a MayaCam file do, it does not"
            )
        if self.units is None and units is None:
            raise InputError(
                f"{self.source} does not tell the units of its translation: say whether they are "
                "mm, cm or m (--calibration-units)"
            )
        if None not in (self.units, units) and self.units != units:
            raise InputError(f"{self.source} is in {self.units}, it cannot be read as {units}")
        place = self.place.clone()
        place[:3, 3] *= MM_PER_UNIT[self.units or units or "mm"]
        return place


def calibration_of_fields(
    fields: dict[str, Any], name: str, source: str, details: CalibrationDetails
) -> Calibration:
    """Return the camera of OpenCV's K with rows and columns, and R, t or rvec, tvec if there.

    Args:
        fields: under our names (``opencv_fields.with_our_names``).
        name: of the camera.
        source: the file, for messages.
        details: what is known besides.

    Raises:
        InputError: fields that are missing or wrong, or a distortion that is not zero.
    """
    check_no_distortion(fields, source)
    missing = [field for field in ("K", "rows", "columns") if field not in details.filling(fields)]
    if missing:
        raise InputError(f"{source} lacks {', '.join(missing)} of a camera")
    whole = details.filling(fields)
    for field in ("rows", "columns"):
        if isinstance(whole[field], float) and whole[field].is_integer():
            whole[field] = int(whole[field])
    intrinsic = finite_numbers(fields["K"], f"{source}: K", (3, 3))
    place, notes = _place(fields, source)
    units = fields.get("units")
    if units not in (None, *MM_PER_UNIT):
        raise InputError(f"{source}: units must be one of {', '.join(MM_PER_UNIT)}, got {units!r}")
    if "pixel_spacing_mm" in whole:
        whole["pixel_spacing_mm"] = tuple(whole["pixel_spacing_mm"])
    return Calibration(
        name=name,
        source=source,
        camera=opencv_camera(intrinsic, whole, source),
        nominal=set(OPENCV_SIZE).isdisjoint(whole),
        place=place,
        units=units,
        notes=notes,
    )


def _place(fields: dict[str, Any], source: str) -> tuple[Tensor | None, tuple[str, ...]]:
    """Return [4,4] with x_camera = R x_world + t, and what was mended."""
    turns = [field for field in ("R", "rvec") if field in fields]
    if not turns and "t" not in fields and "tvec" not in fields:
        return None, ()
    found, notes = rigid_of_fields(fields, source)
    place, note = mended_rigid(found, f"{source}: {turns[0]}")
    return place, notes if note is None else (*notes, note)
