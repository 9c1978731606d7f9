"""camera.json: the geometry of an X-ray as people write it down."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.json_files import read_json_object
from wsreg.geometry.camera import Camera

_REQUIRED = ("source_to_detector_mm", "rows", "columns", "pixel_spacing_mm")


def read_camera(path: str | Path) -> Camera:
    """Read camera.json (docs/conventions.md).

    Raises:
        InputError: for a missing or invalid file, or fields that are missing, unknown, not
            numbers, or not positive where they must be.
    """
    fields = read_json_object(path, _REQUIRED, ("principal_point_px",))
    try:
        return Camera(**fields)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def camera_record(camera: Camera) -> dict[str, Any]:
    """Return the fields of camera.json."""
    return dataclasses.asdict(camera)
