"""camera.json: the geometry of an X-ray as people write it down."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.json_file import read_json_object

_REQUIRED = ("source_to_detector_mm", "rows", "columns", "pixel_spacing_mm")


def read_camera(path: str | Path) -> Camera:
    """Read camera.json (docs/conventions.md).

    Raises:
        InputError: for a missing or invalid file, or fields that are missing, unknown, not
            numbers, or not positive where they must be.
    """
    fields = read_json_object(path, _REQUIRED, ("principal_point_px",))
    for name in ("source_to_detector_mm", "rows", "columns"):
        _check_number(path, name, fields[name])
    for name in ("pixel_spacing_mm", "principal_point_px"):
        value = fields.get(name)
        if value is None and name == "principal_point_px":
            continue
        if not isinstance(value, list) or len(value) != 2:
            raise InputError(f"{path}: {name} must be two numbers, got {value!r}")
        for number in value:
            _check_number(path, name, number)
        fields[name] = tuple(value)
    try:
        return Camera(**fields)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def camera_record(camera: Camera) -> dict[str, Any]:
    """The fields of camera.json."""
    return dataclasses.asdict(camera)


def _check_number(path: str | Path, name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{path}: {name} must be a number, got {value!r}")
