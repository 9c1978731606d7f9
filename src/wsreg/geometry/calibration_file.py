"""Which calibration format a file is in; one camera, or all that it describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.json_files import check_fields, read_json
from wsreg.files.names import as_path
from wsreg.files.reading_from import read_text
from wsreg.geometry.calibration import Calibration, CalibrationDetails, calibration_of_fields
from wsreg.geometry.camera import Camera
from wsreg.geometry.camera_file import camera_from_record
from wsreg.geometry.mayacam import calibration_of_mayacam, looks_like_mayacam
from wsreg.geometry.opencv_fields import with_our_names
from wsreg.geometry.opencv_storage import is_json_storage, plain_values, read_opencv_storage
from wsreg.geometry.rig import Rig, RigView
from wsreg.geometry.rig_file import rig_from_record, with_patient_before_detectors
from wsreg.geometry.rt_image import calibration_of_rt_image
from wsreg.geometry.rtk_geometry import ROOT as RTK_ROOT
from wsreg.geometry.rtk_geometry import calibrations_of_rtk
from wsreg.vocabulary import CalibrationUnits

TEXT_SUFFIXES = (".txt", ".csv")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_PREAMBLE = 128
_OF_K = ("K", "R", "t", "rvec", "tvec", "P", "distortion")
_OPTIONAL = (
    "R", "t", "rvec", "tvec", "distortion", "rows", "columns", "pixel_spacing_mm",
    "source_to_detector_mm", "units", "name",
)  # fmt: skip


def read_calibrations(
    path: str | Path, details: CalibrationDetails | None = None
) -> list[Calibration]:
    """Read every camera of a file: camera.json, rig.json, OpenCV, MayaCam 2.0, RTK, RT Image.

    Args:
        path: JSON; OpenCV's FileStorage (.yml, .yaml, .xml); MayaCam 2.0 (.txt, .csv); RTK's
            geometry (.xml); a DICOM RT Image.
        details: what is known where the file does not tell.

    Raises:
        InputError: a file that is missing, of no such kind, or wrong.
    """
    path = as_path(path, "camera")
    return [
        dataclasses.replace(
            one, notes=tuple(note.replace(str(path), path.name) for note in one.notes)
        )
        for one in _read_all(path, details or CalibrationDetails())
    ]


def _read_all(path: Path, details: CalibrationDetails) -> list[Calibration]:
    if path.is_dir():
        raise InputError(f"camera {path} must be a file, it is a folder")
    ending = path.suffix.lower()
    if ending == ".json":
        return _of_json(path, details)
    if ending in (".yml", ".yaml"):
        return [_of_storage(read_opencv_storage(path), path, details)]
    if ending == ".xml":
        text = read_text(path)
        if RTK_ROOT in text:
            return calibrations_of_rtk(text, str(path), details)
        return [_of_storage(read_opencv_storage(path), path, details)]
    if ending in TEXT_SUFFIXES:
        return [_of_text(path, details)]
    if ending in DICOM_SUFFIXES or _is_dicom(path):
        return [calibration_of_rt_image(path)]
    raise InputError(
        f"camera {path} must end in .json, .yml, .yaml, .xml, {', '.join(TEXT_SUFFIXES)} or "
        f"{', '.join(DICOM_SUFFIXES)}"
        if path.exists()
        else f"{path} does not exist"
    )


def read_rig(
    path: str | Path | Sequence[str | Path], *, units: CalibrationUnits | None = None
) -> Rig:
    """Read cameras that stand in one frame (docs/conventions.md, Cameras).

    From rig.json, whose views are cameras with a ``camera_from_rig``, OpenCV's K, R, t, or 3x4
    matrices P; or from files of one camera each, called as these files are.  K fixes the distance
    over the pixel spacing only; if neither is given, the distance is taken to be 1000 mm, or what
    puts the patient before all detectors: it makes no difference to the projection.

    Args:
        path: a file of several cameras, or files of one each.
        units: of the files' translations, where they do not name them.

    Raises:
        InputError: for a missing or invalid file, units that are open, fields that are missing or
            unknown, matrices that are not rigid or belong to no camera, or what :class:`Rig`
            refuses.
    """
    paths: list[Any] = list(path) if isinstance(path, list | tuple) else [path]
    return rig_of([one for each in paths for one in read_calibrations(each)], units)


def rig_of(found: Sequence[Calibration], units: CalibrationUnits | None = None) -> Rig:
    """Return the rig of cameras that stand in one world.

    Raises:
        InputError: as :func:`read_rig`.
    """
    try:
        rig = Rig(
            views=tuple(
                RigView(
                    name=one.name,
                    camera=one.camera,
                    camera_from_rig=one.camera_from_world(units),
                    notes=one.notes,
                )
                for one in found
            )
        )
        return with_patient_before_detectors(rig, [one.nominal for one in found])
    except InputError as error:
        named = any(one.source in str(error) for one in found)
        files = " ".join(dict.fromkeys(one.source for one in found))
        raise error if named else InputError(f"{files}: {error}") from None


def read_camera(
    path: str | Path,
    *,
    source_to_detector_mm: float | None = None,
    pixel_spacing_mm: tuple[float, float] | None = None,
) -> Camera:
    """Read one camera (docs/conventions.md, Cameras).

    Args:
        path: see :func:`read_calibrations`; it describes one camera.
        source_to_detector_mm, pixel_spacing_mm: one of them for files of K, which gives focal
            lengths in pixels only; not for others.

    Raises:
        InputError: for a missing or invalid file, several cameras, fields that are missing,
            unknown, not numbers, or not positive where they must be, or K without a length.
    """
    return read_camera_with_notes(
        path,
        CalibrationDetails(
            source_to_detector_mm=source_to_detector_mm, pixel_spacing_mm=pixel_spacing_mm
        ),
    )[0]


def read_camera_with_notes(
    path: str | Path, details: CalibrationDetails | None = None
) -> tuple[Camera, tuple[str, ...]]:
    """Read one camera as :func:`read_camera` does, with what was taken for granted."""
    found = read_calibrations(path, details)
    if len(found) != 1:
        raise InputError(f"camera {path} must describe one camera, got {len(found)}; see --rig")
    return the_camera(found[0]), found[0].notes


def the_camera(one: Calibration) -> Camera:
    """Return the camera of a calibration.

    Raises:
        InputError: there is none, or its distance is nominal.
    """
    if one.camera is None:
        raise InputError(f"{one.source} must tell the camera of its view {one.name}, it does not")
    if one.nominal:
        raise InputError(
            f"{one.source} gives focal lengths in pixels only; distance or pixel spacing are "
            "needed besides: source_to_detector_mm (--sdd) or pixel_spacing_mm (--pixel-spacing)"
        )
    return one.camera


def _of_json(path: Path, details: CalibrationDetails) -> list[Calibration]:
    content = read_json(path)
    name, source = path.stem, str(path)
    if is_json_storage(content):
        return [_of_storage(plain_values(content, path), path, details)]
    if isinstance(content, dict) and "views" in content:
        rig, nominal = rig_from_record(content, source)
        return [
            Calibration(
                name=view.name, source=source, camera=view.camera, nominal=is_nominal,
                place=view.camera_from_rig, units="mm", notes=view.notes,
            )
            for view, is_nominal in zip(rig.views, nominal, strict=True)
        ]  # fmt: skip
    if not isinstance(content, dict) or set(_OF_K).isdisjoint(with_our_names(content, source)):
        camera = camera_from_record(content, source)
        return [Calibration(name=name, source=source, camera=camera)]
    fields = check_fields(with_our_names(content, source), source, ("K",), _OPTIONAL)
    return [calibration_of_fields(fields, str(fields.get("name", name)), source, details)]


def _of_storage(values: dict[str, Any], path: Path, details: CalibrationDetails) -> Calibration:
    """Return the camera of a FileStorage's values, of which others are not needed."""
    fields = with_our_names(values, str(path))
    size: Any = fields.get("image_size", fields.get("imageSize"))
    if isinstance(size, list) and len(size) == 2:  # OpenCV's Size is width, height
        fields = {"columns": size[0], "rows": size[1]} | fields
    fields = {name: value for name, value in fields.items() if name in ("K", *_OPTIONAL)}
    name = fields.get("name", path.stem)
    return calibration_of_fields(fields, str(name), str(path), details)


def _of_text(path: Path, details: CalibrationDetails) -> Calibration:
    text = read_text(path)
    if not looks_like_mayacam(text):
        older = [len(line.split(",")) for line in text.split()] == [3] * 5
        raise InputError(
            f"{path} must be a MayaCam 2.0 file, beginning with 'image size', to give a camera"
            + (", got MayaCam 1.0; XMALab writes both" if older else "")
        )
    return calibration_of_mayacam(text, path.stem, str(path), details)


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"
    except OSError:
        return False
