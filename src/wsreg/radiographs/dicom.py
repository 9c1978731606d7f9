"""Read one frame and its geometry from a DICOM X-ray (XA, RF, DX, CR).

No field that identifies a patient is read.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.geometry.carm import CArmAngles
from wsreg.radiographs.orientation import Orientation
from wsreg.radiographs.raw_xray import PixelMeaning, RawXray

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")

XRAY_MODALITIES = ("XA", "RF", "DX", "CR")


def has_dicom_preamble(path: Path) -> bool:
    """Tell whether a file starts like DICOM, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def read_dicom(path: Path, frame: int | None = None) -> RawXray:
    """Read one frame of a DICOM X-ray with the geometry in its header.

    Args:
        path: the file.
        frame: counted from 0; the first if left out.

    Raises:
        InputError: if the file cannot be read, is no X-ray, is in colour or lacks the frame.
    """
    dataset = _read_dataset(path)
    _check_is_xray(dataset, path)
    notes: list[str] = []
    index = _frame_index(dataset, path, frame, notes)
    stored = _frame_pixels(dataset, path, index)
    slope = (_numbers(dataset, "RescaleSlope", 1, notes) or (1.0,))[0]
    intercept = (_numbers(dataset, "RescaleIntercept", 1, notes) or (0.0,))[0]
    meaning, reason = _pixel_meaning(dataset, slope)
    if str(dataset.get("LossyImageCompression", "")) == "01":
        notes.append("The image has been compressed with loss.")
    return RawXray(
        pixels=stored * np.float32(slope) + np.float32(intercept),
        valid=_without_padding(dataset, stored),
        orientation=_orientation(dataset, notes),
        source_to_detector_mm=_source_to_detector_mm(dataset, notes),
        pixel_spacing_mm=_pixel_spacing_mm(dataset, notes),
        angles=_angles(dataset, index, notes),
        meaning=meaning,
        meaning_reason=reason,
        notes=tuple(notes),
    )


def _read_dataset(path: Path) -> Any:
    from pydicom import dcmread
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        return dcmread(path)
    except InvalidDicomError as error:
        raise InputError(f"{path} is not a DICOM file: it lacks the DICM preamble") from error
    except (OSError, EOFError, ValueError, BytesLengthException) as error:
        raise InputError(f"{path} is a damaged or truncated DICOM file: {error}") from error


def _check_is_xray(dataset: Any, path: Path) -> None:
    modality = str(dataset.get("Modality", "") or "not stated")
    if modality not in XRAY_MODALITIES:
        raise InputError(
            f"{path} must be an X-ray ({', '.join(XRAY_MODALITIES)}), its DICOM modality is "
            f"{modality}"
        )
    if "PixelData" not in dataset:
        raise InputError(f"{path} must hold an image, it is a DICOM file without pixel data")
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if not photometric.startswith("MONOCHROME"):
        raise InputError(
            f"{path} must be a grey image (MONOCHROME1 or MONOCHROME2), it is in "
            f"{photometric or 'no stated photometric interpretation'}; export it in grey"
        )


def _frame_index(dataset: Any, path: Path, frame: int | None, notes: list[str]) -> int:
    count = int(dataset.get("NumberOfFrames", 1) or 1)
    if frame is None:
        if count > 1:
            notes.append(f"Took the first of {count} frames.")
        return 0
    if not 0 <= frame < count:
        raise InputError(
            f"frame must lie in 0 to {count - 1}: {path} has {count} frame(s), got {frame}"
        )
    return frame


def _frame_pixels(dataset: Any, path: Path, index: int) -> NDArray[Any]:
    from pydicom.pixels import pixel_array

    try:
        pixels: NDArray[Any] = pixel_array(dataset, index=index)
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError(f"the pixel data of {path} cannot be decoded: {error}") from error
    return pixels


def _without_padding(dataset: Any, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    ends = sorted((int(padding), int(padding if limit is None else limit)))
    valid: NDArray[np.bool_] = (stored < ends[0]) | (stored > ends[1])
    return valid


def _orientation(dataset: Any, notes: list[str]) -> Orientation:
    rotation = _numbers(dataset, "FieldOfViewRotation", 1, notes)
    flipped = str(dataset.get("FieldOfViewHorizontalFlip", "") or "").strip().upper() == "YES"
    degrees = 0.0 if rotation is None else rotation[0] % 360
    if degrees not in (0.0, 90.0, 180.0, 270.0):
        raise InputError(f"FieldOfViewRotation must be a multiple of 90 degrees, got {degrees:g}")
    if degrees or flipped:
        mirrored = " and mirroring" if flipped else ""
        notes.append(f"Undid a field of view rotation of {degrees:g} degrees{mirrored}.")
    if any(_numbers(dataset, "FieldOfViewOrigin", 2, notes) or ()):
        notes.append(
            "FieldOfViewOrigin is not used: DICOM does not say where on the detector the central "
            "ray falls."
        )
    return Orientation(rotation_deg=int(degrees), flipped=flipped)


def _source_to_detector_mm(dataset: Any, notes: list[str]) -> float | None:
    values = _positive(dataset, "DistanceSourceToDetector", 1, notes)
    return None if values is None else values[0]


def _pixel_spacing_mm(dataset: Any, notes: list[str]) -> tuple[float, float] | None:
    """Return ImagerPixelSpacing, at the detector, before PixelSpacing, perhaps at the patient."""
    imager = _positive(dataset, "ImagerPixelSpacing", 2, notes)
    other = _positive(dataset, "PixelSpacing", 2, notes)
    spacing = imager or other
    if spacing is None:
        return None
    if imager is None:
        notes.append("PixelSpacing stands in for the absent ImagerPixelSpacing.")
    elif other is not None and not np.allclose(imager, other, rtol=1e-3):
        notes.append(
            f"Warning: ImagerPixelSpacing {imager} is used, PixelSpacing {other} differs from it."
        )
    return spacing[0], spacing[1]


def _angles(dataset: Any, index: int, notes: list[str]) -> CArmAngles | None:
    """Return positioner angles of frame ``index``: those of the first plus its increments."""
    angles_rad = []
    for axis in ("Primary", "Secondary"):
        angle = _numbers(dataset, f"Positioner{axis}Angle", 1, notes)
        if angle is None:
            return None
        angle_deg = angle[0]
        increments = _numbers(dataset, f"Positioner{axis}AngleIncrement", None, notes)
        if increments is not None and index < len(increments):
            angle_deg += increments[index]
        angles_rad.append(math.radians(angle_deg))
    return CArmAngles(primary_rad=angles_rad[0], secondary_rad=angles_rad[1])


def _pixel_meaning(dataset: Any, slope: float) -> tuple[PixelMeaning | None, str]:
    """Say how pixels relate to X-ray intensity.

    The relationship in the header says so, else DX and CR are as displayed.

    PixelIntensityRelationship is about stored values, hence the sign of the rescale slope.
    """
    relationship = str(dataset.get("PixelIntensityRelationship", "") or "").strip().upper()
    sign = dataset.get("PixelIntensityRelationshipSign")
    if relationship in ("LIN", "LOG"):
        reason = f"PixelIntensityRelationship {relationship}"
        if sign is not None:
            reason += f" with sign {int(sign):+d}"
        if (1 if sign is None else int(sign)) * slope < 0:
            return "attenuation", reason
        return ("transmission" if relationship == "LIN" else "log transmission"), reason
    if str(dataset.Modality) in ("DX", "CR"):
        photometric = str(dataset.PhotometricInterpretation)
        reason = f"{photometric} on a {dataset.Modality} image, which is shown with bright bone"
        return ("attenuation" if photometric == "MONOCHROME2" else "log transmission"), reason
    return None, ""


def _positive(dataset: Any, keyword: str, count: int, notes: list[str]) -> tuple[float, ...] | None:
    values = _numbers(dataset, keyword, count, notes)
    if values is not None and min(values) <= 0:
        notes.append(f"Ignored {keyword}, which must be positive, got {values}.")
        return None
    return values


def _numbers(
    dataset: Any, keyword: str, count: int | None, notes: list[str]
) -> tuple[float, ...] | None:
    """Return the ``count`` (or any number of) finite numbers of a field, None without them."""
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return None
        values = tuple(float(v) for v in np.atleast_1d(np.asarray(value, dtype=np.float64)))
    except (TypeError, ValueError):
        values = ()
    if not values or count not in (None, len(values)) or not all(map(math.isfinite, values)):
        notes.append(f"Ignored {keyword}, which is malformed.")
        return None
    return values
