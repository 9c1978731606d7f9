"""MayaCam 2.0, the text in which XMALab writes a camera and biplane laboratories hand it on.

As XMALab writes it: the image size is WIDTH,HEIGHT, the camera matrix OpenCV's K, and rotation and
translation take the calibration cube's points to the camera, in the cube's units, which the file
does not name.  (Autoscoper's manual has HEIGHT,WIDTH; its reader has not.)
"""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.whole import write_text
from wsreg.geometry.calibration import Calibration, CalibrationDetails, calibration_of_fields
from wsreg.geometry.camera import Camera

_SECTIONS = {
    "image size": 2,
    "camera matrix": 9,
    "rotation": 9,
    "translation": 3,
    "undistortion": None,
}
"""Numbers of each part."""

SIZE_NOTE = "The image size is read as width,height, as XMALab writes it: {} columns, {} rows."


def looks_like_mayacam(text: str) -> bool:
    """Return whether a text has the first heading of a MayaCam 2.0 file."""
    return text.lstrip("\ufeff \t\r\n").lower().startswith("image size")


def calibration_of_mayacam(
    text: str, name: str, source: str, details: CalibrationDetails
) -> Calibration:
    """Return the camera of a MayaCam 2.0 text.

    Raises:
        InputError: parts that are missing or wrong, a size that is no whole number, a distortion.
    """
    parts = _parts(text, source)
    missing = [title for title in list(_SECTIONS)[:4] if title not in parts]
    if missing:
        raise InputError(f"{source} lacks {', '.join(missing)} of a MayaCam 2.0 file")
    width, height = parts["image size"]
    matrix, rotation = ([parts[title][i : i + 3] for i in (0, 3, 6)]
                        for title in ("camera matrix", "rotation"))  # fmt: skip
    fields = {"K": matrix, "R": rotation, "t": parts["translation"], "rows": height,
              "columns": width, "distortion": parts.get("undistortion")}  # fmt: skip
    found = calibration_of_fields(fields, name, source, details)
    if width == height:
        return found
    note = SIZE_NOTE.format(int(width), int(height))
    return Calibration(
        name=name, source=source, camera=found.camera, nominal=found.nominal, place=found.place,
        notes=(*found.notes, note),
    )  # fmt: skip


def write_mayacam(
    camera: Camera, camera_from_world: Tensor, path: Path, mm_per_unit: float
) -> None:
    """Write a camera and its place [4,4] (mm) with lengths in units of so many millimetres."""
    shift = (camera_from_world[:3, 3] / mm_per_unit).tolist()
    parts = (
        ("image size", [[camera.columns, camera.rows]]),
        ("camera matrix", camera.intrinsic_matrix.tolist()),
        ("rotation", camera_from_world[:3, :3].tolist()),
        ("translation", [[number] for number in shift]),
    )
    blocks = [
        "\n".join([title, *(",".join(map(repr, row)) for row in rows)]) for title, rows in parts
    ]
    write_text(path, "\n\n".join(blocks) + "\n")


def _parts(text: str, source: str) -> dict[str, list[float]]:
    parts: dict[str, list[float]] = {}
    title = None
    for line in text.lstrip("\ufeff").splitlines():
        words = [word for word in re.split(r"[\s,;]+", line) if word]
        plain = " ".join(words).lower()
        if plain in _SECTIONS:
            if plain in parts:
                raise InputError(f"{source} must have {plain} once, got it repeatedly")
            title = plain
            parts[title] = []
        elif words:
            if title is None:
                raise InputError(f"{source} must begin with 'image size', got {line[:40]!r}")
            parts[title] += _numbers(words, source, title)
    for name, numbers in parts.items():
        count = _SECTIONS[name]
        if count is not None and len(numbers) != count:
            raise InputError(f"{source} must have {count} numbers of {name}, got {len(numbers)}")
    return parts


def _numbers(words: list[str], source: str, title: str) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError:
        raise InputError(f"{source} must hold numbers under {title}, got {words[:4]}") from None
