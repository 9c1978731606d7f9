"""Arguments that several commands share, and what becomes of them."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

from tyro.conf import Positional, arg

from wsreg.errors import InputError
from wsreg.vocabulary import CtIntensity, Intensity, PoseConvention, ViewName

if TYPE_CHECKING:
    from wsreg.geometry.camera import Camera
    from wsreg.geometry.carm import CArmAngles
    from wsreg.radiographs.radiograph import Radiograph
    from wsreg.volumes.volume import Volume

Labels = Annotated[
    tuple[str, ...], arg(metavar="LABEL ...", help_behavior_hint="(default: the whole CT)")
]
Xrays = Annotated[
    Positional[tuple[Path, ...]], arg(metavar="XRAY ...", help_behavior_hint="(any number)")
]
Convention = Annotated[PoseConvention | None, arg(help_behavior_hint="(default: camera_from_ct)")]
Files = Annotated[tuple[Path, ...], arg(metavar="FILE ...", help_behavior_hint="(none)")]
OptionalFile = Annotated[Path | None, arg(metavar="FILE")]


@dataclass(frozen=True, kw_only=True)
class CtDetails:
    """What belongs to the CT."""

    labels: OptionalFile = None
    """Label map of the CT on any grid, DICOM segmentation, or folder with a mask for each part."""
    label_names: OptionalFile = None
    """Names of the label values, if not those in the label map: .json, .csv, or a colour table."""
    series_uid: Annotated[str | None, arg(metavar="UID")] = None
    """Which series, where a DICOM folder holds several."""
    ct_intensity: CtIntensity = "hu"
    """What the voxels are: Hounsfield units, or grey values of a cone-beam CT (cbct), which are
    scaled by the peaks of air and soft tissue."""
    ct_scale: Annotated[tuple[float, float] | None, arg(metavar="AIR WATER")] = None
    """For cbct: the grey values of air and water, if the peaks do not tell."""


@dataclass(frozen=True, kw_only=True)
class XrayDetails:
    """How to read an X-ray."""

    intensity: Intensity = "auto"
    """What pixel values are: transmission (air is bright) or attenuation (bone is bright)."""
    frame: Annotated[int | None, arg(metavar="N")] = None
    """Frame of a multi-frame DICOM, counted from 0; the first if left out."""
    mirror: bool = False
    """Exchange left and right: for PA images stored as seen facing the patient."""
    mask: OptionalFile = None
    """Image of the X-ray's size; pixels that are zero in it are not used."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Geometry of the X-ray. A flag fills what the header lacks, the camera file what both lack."""

    camera: OptionalFile = None
    """The camera: camera.json, OpenCV's K (.json, .yml, .xml), MayaCam 2.0 (.txt) or an RT Image
    (.dcm).  K needs --sdd or --pixel-spacing besides."""
    source_to_detector_mm: Annotated[float | None, arg(name="sdd", metavar="MM")] = None
    """Distance from the source to the detector."""
    pixel_spacing_mm: Annotated[
        tuple[float, float] | None, arg(name="pixel-spacing", metavar="ROW_MM COLUMN_MM")
    ] = None
    """Pixel spacing at the detector, rows then columns."""
    principal_point_px: Annotated[
        tuple[float, float] | None, arg(name="principal-point", metavar="COLUMN ROW")
    ] = None
    """Pixel that the optical axis meets; the image centre if nothing gives it."""
    override_header: bool = False
    """Let flags and camera file, or rig, win over the X-ray's header."""


def read_ct(path: Path, details: CtDetails) -> Volume:
    """Read the CT with its labels."""
    from wsreg.volumes.reading import read_volume

    return read_volume(
        path,
        details.labels,
        details.label_names,
        series_uid=details.series_uid,
        intensity=details.ct_intensity,
        scale=details.ct_scale,
    )


def xray_reader(
    details: XrayDetails, geometry: Geometry, camera: Camera | None = None
) -> Callable[[Path], Radiograph]:
    """Return a function that reads X-rays as asked; the camera file is read, and checked, here.

    Args:
        details: how to read an X-ray.
        geometry: flags and camera file.
        camera: what a rig says of the camera, where there is no camera file.
    """
    from wsreg.radiographs.camera_sources import CameraOverrides
    from wsreg.radiographs.reading import read_radiograph

    notes: tuple[str, ...] = ()
    if geometry.camera is not None:
        camera, notes = camera_of_file(geometry.camera, geometry)
    read = functools.partial(
        read_radiograph,
        camera=camera,
        overrides=CameraOverrides(
            source_to_detector_mm=geometry.source_to_detector_mm,
            pixel_spacing_mm=geometry.pixel_spacing_mm,
            principal_point_px=geometry.principal_point_px,
            override_header=geometry.override_header,
        ),
        intensity=details.intensity,
        frame=details.frame,
        mirror=details.mirror,
        mask=details.mask,
    )

    def read_with_notes(path: Path) -> Radiograph:
        radiograph = read(path)
        return dataclasses.replace(radiograph, notes=(*radiograph.notes, *notes))

    return read_with_notes


def camera_of_file(path: Path, geometry: Geometry) -> tuple[Camera, tuple[str, ...]]:
    """Read a camera file; for K, a flag may give the length that it lacks.  Notes come along."""
    from wsreg.geometry.calibration import CalibrationDetails
    from wsreg.geometry.calibration_file import read_camera_with_notes

    # One of them is enough for K: the other follows from it, and is compared where it is given.
    spacing = geometry.pixel_spacing_mm
    distance = geometry.source_to_detector_mm if spacing is None else None
    details = CalibrationDetails(source_to_detector_mm=distance, pixel_spacing_mm=spacing)
    return read_camera_with_notes(path, details)


def parse_view(text: str) -> str | CArmAngles:
    """Read a named view, or C-arm angles written as ``primary,secondary`` in degrees."""
    names = get_args(ViewName)
    if text.upper() in names:
        return text.upper()
    try:
        primary_deg, secondary_deg = (float(part) for part in text.split(","))
    except ValueError:
        primary_deg = secondary_deg = math.nan
    if not (math.isfinite(primary_deg) and math.isfinite(secondary_deg)):
        raise InputError(
            f'--view must be one of {", ".join(names)}, or "primary,secondary" in degrees, '
            f"got {text!r}"
        )
    from wsreg.geometry.carm import CArmAngles

    return CArmAngles(
        primary_rad=math.radians(primary_deg), secondary_rad=math.radians(secondary_deg)
    )
