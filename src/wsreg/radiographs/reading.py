"""Read an X-ray from any supported file into one :class:`Radiograph`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from wsreg.dicom.files import DICOM_SUFFIXES, is_dicom
from wsreg.errors import InputError
from wsreg.files.names import as_path, stem
from wsreg.geometry.camera import Camera
from wsreg.radiographs.camera_sources import CameraOverrides, CameraValue, resolve_camera
from wsreg.radiographs.collimation import detect_field
from wsreg.radiographs.dicom import read_dicom
from wsreg.radiographs.intensity import (
    decide_meaning,
    is_air_bright,
    offset_notes,
    to_attenuation,
)
from wsreg.radiographs.patient_view import mirrored, orientation_note
from wsreg.radiographs.polarity import Polarity, polarity_of
from wsreg.radiographs.radiograph import Radiograph
from wsreg.radiographs.raster import RASTER_SUFFIXES, read_mask, read_raster
from wsreg.radiographs.raw_xray import PixelMeaning, RawXray
from wsreg.vocabulary import Intensity

CollimationOption = Literal["auto", "none"]

MAX_EXTREME_FRACTION = 0.99
"""An image of which more than this fraction holds its largest (or smallest) value shows nothing."""


def read_radiograph(
    path: str | Path,
    *,
    camera: Camera | None = None,
    overrides: CameraOverrides | None = None,
    intensity: Intensity = "auto",
    frame: int | None = None,
    mirror: bool = False,
    mask: str | Path | None = None,
    collimation: CollimationOption = "auto",
) -> Radiograph:
    """Read an X-ray: PNG, TIFF, NPY, NIfTI or DICOM (XA, RF, DX, CR).

    DICOM gives its own geometry, and ``camera`` and ``overrides`` fill what it lacks (see
    :func:`~wsreg.radiographs.camera_sources.resolve_camera`); the other files need them.  Both
    describe the image as the camera saw it, with any turn in the header undone.  Without a
    distance or a pixel spacing the radiograph has no camera, and a note says what is missing.

    Args:
        path: the file; DICOM is also recognised without a suffix.
        camera: geometry from a camera file.
        overrides: single values of the geometry.
        intensity: what stored pixel values are: ``transmission`` (air is bright, converted by a
            logarithm), ``attenuation`` (bone is bright, kept) or ``auto``, by the header, else by
            the image; where these contradict each other, registration tries both.
        frame: frame of a multi-frame DICOM, counted from 0; the first if left out.
        mirror: exchange left and right.  PA images are often stored as radiologists look at them,
            facing the patient; the camera sees them from the source, from behind.  A mirrored
            image fits no pose.
        mask: image file with the rows and columns of the stored X-ray: pixels that are zero in it
            are not used.
        collimation: whether to look for a collimator or padding and mask it.

    Raises:
        InputError: if a file cannot be read, is no X-ray, shows nothing, or does not fit.
    """
    path = as_path(path, "X-ray", "Radiograph(image=...) holds an array")
    raw = read_raw(path, frame)
    _check_pixels(raw.pixels, path)
    usable = np.ones(raw.pixels.shape, dtype=bool) if raw.valid is None else raw.valid
    notes = list(raw.notes)
    if mask is not None:
        usable = usable & read_mask(Path(mask), raw.pixels.shape)
        notes.append("Used the given mask.")
    pixels = torch.from_numpy(raw.orientation.undone(raw.pixels.astype(np.float32)))
    valid = torch.from_numpy(raw.orientation.undone(usable))
    directions = raw.patient_orientation
    if mirror:
        pixels, valid, directions = pixels.flip(1), valid.flip(1), mirrored(directions)
        notes.append("Left and right are exchanged, as asked.")
    notes += filter(None, [orientation_note(directions, raw.view_position)])
    resolved, camera_notes = _resolved_camera(raw, pixels, overrides, camera, path)
    spacing_mm = _pixel_shape_mm(raw, overrides, resolved)
    field, look = _settled_field(raw, pixels, valid, spacing_mm, intensity, collimation)
    valid = valid & field
    if not bool(valid.any()):
        raise InputError(f"{path} must have pixels to use, the masks leave none")
    meaning, other, meaning_notes = decide_meaning(
        pixels,
        valid,
        option=intensity,
        look=look,
        header=raw.meaning,
        header_reason=raw.meaning_reason,
        header_disputed=raw.meaning_disputed,
    )
    notes += [*meaning_notes, *_pixel_notes(pixels, valid, meaning), *camera_notes]
    return Radiograph(
        image=to_attenuation(pixels, valid, meaning),
        mask=valid,
        camera=resolved,
        angles=raw.angles,
        notes=tuple(notes),
        name=stem(path),
        opposite_polarity=None if other is None else to_attenuation(pixels, valid, other),
        patient_orientation=directions,
        view_position=raw.view_position,
        mirrored=mirror,
        polarity_sure=look.sure and raw.meaning is None and intensity == "auto",
        meanings=(meaning,) if other is None else (meaning, other),
    )


def radiograph_like(raw: RawXray, first: Radiograph, name: str) -> Radiograph:
    """Return another frame of the camera that took ``first``, read as that was.

    Field, polarity and geometry are not looked for anew: one camera takes all frames alike.

    Args:
        raw: what the file says of the frame.
        first: a frame that was read from a file.
        name: of this one.

    Raises:
        InputError: it shows nothing, or is not positive where transmission must be.
    """
    _check_pixels(raw.pixels, Path(name))
    usable = np.ones(raw.pixels.shape, dtype=bool) if raw.valid is None else raw.valid
    pixels = torch.from_numpy(raw.orientation.undone(raw.pixels.astype(np.float32)))
    valid = torch.from_numpy(raw.orientation.undone(usable))
    if first.mirrored:
        pixels, valid = pixels.flip(1), valid.flip(1)
    if valid.shape == first.mask.shape:
        valid = valid & first.mask
    if not bool(valid.any()):
        raise InputError(f"X-ray {name} must have pixels to use, the masks leave none")
    try:
        images = [to_attenuation(pixels, valid, meaning) for meaning in first.meanings]
    except InputError as error:
        raise InputError(f"X-ray {name}: {error}") from None
    return dataclasses.replace(
        first,
        image=images[0],
        mask=valid,
        angles=raw.angles,
        notes=raw.notes,
        name=name,
        opposite_polarity=images[1] if len(images) > 1 else None,
    )


def read_raw(path: Path, frame: int | None = None) -> RawXray:
    """Return what an X-ray's file says, before anything is decided.

    Raises:
        InputError: it cannot be read, or is no X-ray.
    """
    if not path.exists():
        raise InputError(f"X-ray {path} does not exist")
    if not path.is_file():
        raise InputError(f"X-ray {path} must be a file, it is a folder")
    name = path.name.lower()
    if is_dicom(path) or name.endswith(DICOM_SUFFIXES):  # by content, whatever the name is
        return read_dicom(path, frame)
    if not name.endswith(RASTER_SUFFIXES):
        raise InputError(
            f"X-ray {path} must end in one of {', '.join((*RASTER_SUFFIXES, *DICOM_SUFFIXES))} "
            "or be a DICOM file"
        )
    if frame is not None:
        raise InputError(f"frame applies to multi-frame DICOM only, got {frame} with {path}")
    try:
        raster = read_raster(path)
    except PermissionError as error:
        raise InputError(f"X-ray {path} cannot be read: {error.strerror}") from error
    return RawXray(pixels=raster.pixels, notes=raster.notes)


def _check_pixels(pixels: np.ndarray, path: Path) -> None:
    if pixels.size == 0:
        raise InputError(f"X-ray {path} is empty: {list(pixels.shape)} pixels")
    unusable = int(np.count_nonzero(~np.isfinite(pixels)))
    if unusable:
        raise InputError(f"X-ray {path} must be finite, {unusable} pixels are NaN or infinite")
    low, high = pixels.min(), pixels.max()
    if low == high:
        raise InputError(f"X-ray {path} is constant or all saturated: every pixel is {low}")
    for word, value in (("saturated at", high), ("empty, at", low)):
        fraction = np.count_nonzero(pixels == value) / pixels.size
        if fraction > MAX_EXTREME_FRACTION:
            raise InputError(f"X-ray {path} is {word} {value} in {fraction:.1%} of its pixels")


def _known_polarity(raw: RawXray, intensity: Intensity) -> bool | None:
    """Tell whether air is bright, as asked or by a header that does not contradict itself."""
    if intensity != "auto":
        return is_air_bright(intensity)
    if raw.meaning is None or raw.meaning_disputed:
        return None
    return is_air_bright(raw.meaning)


def _settled_field(
    raw: RawXray,
    pixels: Tensor,
    valid: Tensor,
    spacing_mm: tuple[float, float],
    intensity: Intensity,
    collimation: CollimationOption,
) -> tuple[Tensor, Polarity]:
    """Return the field [H,W] and how the image looks, without the header where that misleads."""
    known = _known_polarity(raw, intensity)
    field, look = _field_and_polarity(pixels, valid, spacing_mm, known, collimation)
    if intensity == "auto" and known is not None and look.sure and look.air_is_bright != known:
        # The header misled the search for the field as well.
        return _field_and_polarity(pixels, valid, spacing_mm, None, collimation)
    return field, look


def _field_and_polarity(
    pixels: Tensor,
    usable: Tensor,
    pixel_spacing_mm: tuple[float, float],
    bright_is_air: bool | None,
    collimation: CollimationOption,
) -> tuple[Tensor, Polarity]:
    """Return the exposed field [H,W] and what the usable part of it looks like."""
    field = torch.ones_like(usable)
    if collimation == "auto":
        field = detect_field(pixels, bright_is_air=bright_is_air, pixel_spacing_mm=pixel_spacing_mm)
    return field, polarity_of(pixels, usable & field, pixel_spacing_mm, usable & ~field)


def _pixel_shape_mm(
    raw: RawXray, overrides: CameraOverrides | None, camera: Camera | None
) -> tuple[float, float]:
    """Return (row, column) spacing by whatever source there is, square pixels without one."""
    if camera is not None:
        return camera.pixel_spacing_mm
    if raw.pixel_spacing_mm is not None:
        return raw.orientation.undone_spacing(raw.pixel_spacing_mm)
    if overrides is not None and overrides.pixel_spacing_mm is not None:
        return overrides.pixel_spacing_mm
    return 1.0, 1.0


def _resolved_camera(
    raw: RawXray,
    pixels: Tensor,
    overrides: CameraOverrides | None,
    camera: Camera | None,
    path: Path,
) -> tuple[Camera | None, list[str]]:
    shape = (pixels.shape[0], pixels.shape[1])
    try:
        return resolve_camera(shape, header=_header_camera(raw), overrides=overrides, camera=camera)
    except InputError as error:
        raise InputError(f"X-ray {path}: {error}") from None


def _header_camera(raw: RawXray) -> dict[str, CameraValue]:
    header: dict[str, CameraValue] = {}
    if raw.source_to_detector_mm is not None:
        header["source_to_detector_mm"] = raw.source_to_detector_mm
    if raw.pixel_spacing_mm is not None:
        header["pixel_spacing_mm"] = raw.orientation.undone_spacing(raw.pixel_spacing_mm)
    return header


def _pixel_notes(pixels: Tensor, valid: Tensor, meaning: PixelMeaning) -> list[str]:
    notes = offset_notes(pixels, valid, meaning)
    fraction = 1.0 - float(valid.float().mean())
    if fraction:
        notes.append(f"{fraction:.1%} of the image is masked (collimator, padding or mask).")
    return notes
