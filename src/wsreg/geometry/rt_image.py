"""The camera of a DICOM RT Image: a projection by a treatment machine (PS3.3 C.8.8.2).

The world is the IEC 61217 fixed system: origin at the isocentre, x to the right and z up as one
stands before the gantry, y towards it.  At gantry angle 0 the source is above, and the image's
columns run along x and its rows against y.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.reading_from import reading_from
from wsreg.geometry.calibration import Calibration
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, rigid

USUAL_ORIENTATION = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
"""RTImageOrientation of an image as the source sees it, the only one that is read."""

_READ = (
    "Modality", "RTImageSID", "RadiationMachineSAD", "ImagePlanePixelSpacing",
    "RTImageOrientation", "RTImagePosition", "XRayImageReceptorAngle",
    "XRayImageReceptorTranslation", "GantryAngle", "Rows", "Columns",
)  # fmt: skip


def calibration_of_rt_image(path: Path) -> Calibration:
    """Return the camera of an RT Image and its place about the isocentre.

    Raises:
        InputError: no such file, no RT Image, or a header without distances and pixel spacing or
            with another orientation.
    """
    import pydicom

    if not path.exists():
        raise InputError(f"{path} does not exist")
    errors = pydicom.errors
    with (
        reading_from(path, "must be a DICOM file", errors.BytesLengthException,
                     errors.InvalidDicomError),
        warnings.catch_warnings(),
    ):  # fmt: skip
        warnings.simplefilter("ignore")  # what matters of a file is an error or a note
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        header = {name: dataset[name].value for name in _READ if name in dataset}
    if header.get("Modality") != "RTIMAGE":
        raise InputError(
            f"{path} must be an RT Image to give a camera, got the modality "
            f"{header.get('Modality')!r}"
        )
    distance = _number(header, "RTImageSID", path)
    axis = _number(header, "RadiationMachineSAD", path)
    spacing = _numbers(header, "ImagePlanePixelSpacing", 2, path)
    orientation = _numbers(header, "RTImageOrientation", 6, path, USUAL_ORIENTATION)
    if any(abs(a - b) > 1e-6 for a, b in zip(orientation, USUAL_ORIENTATION, strict=True)):
        raise InputError(
            f"{path}: RTImageOrientation must be {list(USUAL_ORIENTATION)}, got {list(orientation)}"
        )
    rows, columns = (int(_number(header, name, path)) for name in ("Rows", "Columns"))
    try:
        camera = Camera(
            source_to_detector_mm=distance,
            rows=rows,
            columns=columns,
            pixel_spacing_mm=(spacing[0], spacing[1]),
            principal_point_px=_principal_point(header, spacing, rows, columns, path),
        )
    except (InputError, ZeroDivisionError) as error:
        raise InputError(f"{path}: {error}") from None
    notes = []
    if not _has(header, "RTImagePosition"):
        notes.append(f"{path.name} has no RTImagePosition: the beam is taken to meet the middle.")
    turn = math.radians(_number(header, "XRayImageReceptorAngle", path, 0.0))
    return Calibration(
        name=path.stem,
        source=str(path),
        camera=camera,
        place=_place(math.radians(_number(header, "GantryAngle", path, 0.0)), turn, axis),
        units="mm",
        notes=tuple(notes),
    )


def _place(gantry_rad: float, receptor_rad: float, source_to_axis_mm: float) -> Tensor:
    """Return [4,4] from the fixed system to the camera: turns of the axes, then the source."""
    about_y = exp_so3(torch.tensor((0.0, -gantry_rad, 0.0), dtype=torch.float64))
    about_z = exp_so3(torch.tensor((0.0, 0.0, -receptor_rad), dtype=torch.float64))
    axes = torch.diag(torch.tensor((1.0, -1.0, -1.0), dtype=torch.float64))
    rotation = axes @ about_z @ about_y
    return rigid(rotation, torch.tensor((0.0, 0.0, source_to_axis_mm), dtype=torch.float64))


def _principal_point(
    header: Any, spacing: tuple[float, ...], rows: int, columns: int, path: Path
) -> tuple[float, float]:
    """Return (column, row) where the beam's axis meets the image, which the receptor may miss."""
    middle = (-(columns - 1) / 2 * spacing[1], (rows - 1) / 2 * spacing[0])
    first_x, first_y = _numbers(header, "RTImagePosition", 2, path, middle)
    shift_x, shift_y, _ = _numbers(header, "XRayImageReceptorTranslation", 3, path, (0.0,) * 3)
    turn = math.radians(_number(header, "XRayImageReceptorAngle", path, 0.0))
    x = -shift_x * math.cos(turn) - shift_y * math.sin(turn)
    y = shift_x * math.sin(turn) - shift_y * math.cos(turn)
    return (x - first_x) / spacing[1], (first_y - y) / spacing[0]


def _has(header: Any, name: str) -> bool:
    return header.get(name) not in (None, "")


def _number(header: Any, name: str, path: Path, default: float | None = None) -> float:
    return _numbers(header, name, 1, path, None if default is None else (default,))[0]


def _numbers(
    header: Any, name: str, count: int, path: Path, default: tuple[float, ...] | None = None
) -> tuple[float, ...]:
    if not _has(header, name):
        if default is None:
            raise InputError(f"{path} lacks {name}, which the geometry of an RT Image needs")
        return default
    value = header.get(name)
    try:
        found = tuple(float(v) for v in (value if count > 1 else [value]))
    except (TypeError, ValueError):
        found = ()
    if len(found) != count or not all(map(math.isfinite, found)):
        raise InputError(f"{path}: {name} must be {count} finite numbers, got {value!r}")
    return found
