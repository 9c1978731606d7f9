"""Read one frame and its geometry from a DICOM X-ray (XA, RF, DX, CR), classic or enhanced.

No field that identifies a patient is read.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from wsreg.dicom.files import read_dataset
from wsreg.dicom.header import Header, file_header, frame_header
from wsreg.dicom.pixels import PixelFormat, decode_frame, pixel_format
from wsreg.errors import InputError
from wsreg.geometry.carm import CArmAngles
from wsreg.radiographs.header_geometry import HeaderGeometry, read_geometry
from wsreg.radiographs.header_meaning import header_meaning
from wsreg.radiographs.orientation import Orientation
from wsreg.radiographs.patient_view import patient_orientation, view_position
from wsreg.radiographs.raw_xray import RawXray

XRAY_MODALITIES = ("XA", "RF", "DX", "CR")


def read_dicom(path: Path, frame: int | None = None) -> RawXray:
    """Read one frame of a DICOM X-ray with the geometry in its header.

    Args:
        path: the file.
        frame: counted from 0; the first if left out.

    Raises:
        InputError: if the file cannot be read, is no X-ray, is in colour or lacks the frame.
    """
    return raw_of_dataset(read_dataset(path), path, frame)


def raw_of_dataset(dataset: Any, path: Path, frame: int | None = None) -> RawXray:
    """Read one frame of a data set that :func:`wsreg.dicom.files.read_dataset` read.

    Raises:
        InputError: as :func:`read_dicom`.
    """
    notes: list[str] = []
    modality = _check_is_xray(file_header(dataset), path)
    form = pixel_format(dataset, path, notes)
    index = _frame_index(form, path, frame, notes)
    header = frame_header(dataset, index, notes)
    stored = decode_frame(dataset, form, index, path)
    slope, intercept = _rescale(header)
    found = header_meaning(header, modality, slope)
    geometry = read_geometry(header, (form.rows, form.columns), modality)
    orientation = _orientation(header, path)
    angles = _angles(header, index)
    directions = patient_orientation(header)
    _note_rest(header, geometry)
    return RawXray(
        pixels=stored * np.float32(slope) + np.float32(intercept),
        valid=None if form.padding is None else ~form.is_padding(stored),
        orientation=orientation,
        source_to_detector_mm=geometry.source_to_detector_mm,
        pixel_spacing_mm=geometry.pixel_spacing_mm,
        angles=angles,
        meaning=found.meaning,
        meaning_reason=found.reason,
        meaning_disputed=found.disputed,
        patient_orientation=directions and orientation.undone_directions(directions),
        view_position=view_position(header, angles),
        notes=tuple(notes),
    )


def _check_is_xray(header: Header, path: Path) -> str:
    """Return the modality of an X-ray."""
    modality = header.word("Modality")
    if modality not in XRAY_MODALITIES:
        raise InputError(
            f"{path} must be an X-ray ({', '.join(XRAY_MODALITIES)}), its DICOM modality is "
            f"{modality or 'not stated'}"
        )
    if not header.has("PixelData"):
        raise InputError(f"{path} must hold an image, it is a DICOM file without pixel data")
    photometric = header.word("PhotometricInterpretation")
    if not photometric.startswith("MONOCHROME"):
        raise InputError(
            f"{path} must be a grey image (MONOCHROME1 or MONOCHROME2), it is in "
            f"{photometric or 'no stated photometric interpretation'}; export it in grey"
        )
    return modality


def _frame_index(form: PixelFormat, path: Path, frame: int | None, notes: list[str]) -> int:
    if frame is None:
        if form.frames > 1:
            notes.append(f"Took the first of {form.frames} frames.")
        return 0
    if not 0 <= frame < form.frames:
        raise InputError(
            f"frame must lie in 0 to {form.frames - 1}: {path} has {form.frames} frame(s), "
            f"got {frame}"
        )
    return frame


def _rescale(header: Header) -> tuple[float, float]:
    """Return slope and intercept; a slope of 0 says nothing."""
    slope, intercept = header.number("RescaleSlope"), header.number("RescaleIntercept")
    if slope == 0:
        header.note("Ignored RescaleSlope, which must not be 0.")
    return slope or 1.0, intercept or 0.0


def _orientation(header: Header, path: Path) -> Orientation:
    rotation = header.number("FieldOfViewRotation")
    flipped = header.word("FieldOfViewHorizontalFlip") == "YES"
    degrees = 0.0 if rotation is None else rotation % 360
    if degrees not in (0.0, 90.0, 180.0, 270.0):
        raise InputError(
            f"{path} must have a FieldOfViewRotation that is a multiple of 90 degrees, "
            f"got {degrees:g}"
        )
    if degrees or flipped:
        mirrored = " and mirroring" if flipped else ""
        header.note(f"Undid a field of view rotation of {degrees:g} degrees{mirrored}.")
    if any(header.numbers("FieldOfViewOrigin", 2) or ()):
        header.note(
            "FieldOfViewOrigin is not used: DICOM does not say where on the detector the central "
            "ray falls."
        )
    return Orientation(rotation_deg=int(degrees), flipped=flipped)


def _angles(header: Header, index: int) -> CArmAngles | None:
    """Return positioner angles of frame ``index``: those of the first plus its increments."""
    angles_rad = []
    for axis in ("Primary", "Secondary"):
        angle_deg = header.number(f"Positioner{axis}Angle")
        if angle_deg is None:
            return None
        increments = header.numbers(f"Positioner{axis}AngleIncrement")
        if increments is not None and index < len(increments):
            angle_deg += increments[index]
        angles_rad.append(math.radians(angle_deg))
    return CArmAngles(primary_rad=angles_rad[0], secondary_rad=angles_rad[1])


def _note_rest(header: Header, geometry: HeaderGeometry) -> None:
    """Note what is left out or lost."""
    if header.word("LossyImageCompression") == "01":
        header.note("The image has been compressed with loss.")
    if header.items("ModalityLUTSequence"):
        header.note("Warning: ModalityLUTSequence is not applied, values are used as stored.")
    lacking: Any = [
        name
        for name, value in zip(
            ("DistanceSourceToDetector", "ImagerPixelSpacing"), geometry, strict=True
        )
        if value is None and not header.has(name)
    ]
    if header.items("PerFrameFunctionalGroupsSequence") and lacking:
        header.note(f"No functional group of the frame has {' or '.join(lacking)}.")
