"""X-rays as views of a rig: which view each of them is, and what it says of their cameras."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsreg.cli.options import Geometry, XrayDetails, xray_reader
from wsreg.errors import InputError
from wsreg.files.names import stem
from wsreg.vocabulary import CalibrationUnits

if TYPE_CHECKING:
    from wsreg.geometry.rig import Rig
    from wsreg.radiographs.radiograph import Radiograph


def rig_of_xrays(
    files: Sequence[Path],
    xrays: Sequence[Path],
    geometry: Geometry,
    units: CalibrationUnits | None,
) -> Rig | None:
    """Read a rig and put its views in the order of the X-rays; None without files.

    Raises:
        InputError: it cannot be read, has not one view for each X-ray, or has cameras where a
            camera file is given, too.
    """
    from wsreg.geometry.calibration_file import read_rig
    from wsreg.geometry.rig_file import for_xrays

    if not files:
        if units is not None:
            raise InputError(f"--calibration-units are those of --rig, got {units} without it")
        return None
    rig = for_xrays(read_rig(files, units=units), [stem(path) for path in xrays])
    with_camera = [view.name for view in rig.views if view.camera is not None]
    if geometry.camera is not None and with_camera:
        raise InputError(
            "--camera must be left out where the rig has cameras, got one and "
            f"{files[0]} with those of {', '.join(with_camera)}"
        )
    return rig


def rig_notes(rig: Rig | None, xrays: Sequence[Path]) -> list[str]:
    """Return sentences on a rig: how X-rays were matched with its views, and what was mended."""
    from wsreg.geometry.rig_file import how_matched

    if rig is None:
        return []
    matched = [how_matched(rig, [stem(path) for path in xrays])] if len(xrays) > 1 else []
    return [*matched, *(note for view in rig.views for note in view.notes)]


def xrays_reader(
    details: XrayDetails, geometry: Geometry, rig: Rig | None
) -> Callable[[Sequence[Path]], list[Radiograph]]:
    """Return a function that reads X-rays, all that are the views of a rig or one at a time.

    Those of a rig are called by the names of its views if their files have the same names.
    """
    if rig is None:
        read = xray_reader(details, geometry)
        return lambda xrays: [read(path) for path in xrays]
    readers = [xray_reader(details, geometry, view.camera) for view in rig.views]

    def read_views(xrays: Sequence[Path]) -> list[Radiograph]:
        found = [read(path) for read, path in zip(readers, xrays, strict=True)]
        if geometry.camera is None:
            found = [_with_rig_in_notes(radiograph) for radiograph in found]
        if len({radiograph.name for radiograph in found}) == len(found):
            return found
        return [
            dataclasses.replace(radiograph, name=view.name)
            for radiograph, view in zip(found, rig.views, strict=True)
        ]

    return read_views


def _with_rig_in_notes(radiograph: Radiograph) -> Radiograph:
    """Return an X-ray whose notes say that its camera is the rig's, not a camera file's."""
    from wsreg.radiographs.camera_sources import CAMERA_FILE

    notes = tuple(note.replace(CAMERA_FILE, "the rig") for note in radiograph.notes)
    return dataclasses.replace(radiograph, notes=notes)
