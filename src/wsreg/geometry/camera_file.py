"""camera.json: the geometry of an X-ray as people write it down."""

from __future__ import annotations

from typing import Any

from wsreg.errors import InputError
from wsreg.files.json_files import check_fields
from wsreg.geometry.camera import Camera

_REQUIRED = ("source_to_detector_mm", "rows", "columns", "pixel_spacing_mm")
_OPTIONAL = ("principal_point_px",)


def camera_from_record(fields: Any, name: str) -> Camera:
    """Return the camera of camera.json's fields (docs/conventions.md).

    Raises:
        InputError: for fields that are missing, unknown, not numbers, or not positive where they
            must be; ``name`` says of what.
    """
    checked = check_fields(fields, name, _REQUIRED, _OPTIONAL)
    try:
        return Camera(**checked)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def camera_record(camera: Camera) -> dict[str, Any]:
    """Return the fields of camera.json."""
    return {name: getattr(camera, name) for name in (*_REQUIRED, *_OPTIONAL)}
