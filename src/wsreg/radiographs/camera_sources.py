"""Put a camera together from a header, a camera file and single flags, saying which source won."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera

CameraValue = float | tuple[float, float]

FIELDS = ("source_to_detector_mm", "pixel_spacing_mm", "principal_point_px")

CAMERA_FILE = "the camera file"
"""What notes call the source of ``camera``."""

SAME = 1e-3
"""Relative difference up to which two sources agree."""


@dataclass(frozen=True, kw_only=True)
class CameraOverrides:
    """Single camera values given by the user, for the image as the camera sees it.

    Args:
        source_to_detector_mm: as in :class:`Camera`.
        pixel_spacing_mm: (row spacing, column spacing), as in :class:`Camera`.
        principal_point_px: (column, row), as in :class:`Camera`.
        override_header: whether these values and the camera file win over the file's header
            instead of only filling what it lacks.
    """

    source_to_detector_mm: float | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    principal_point_px: tuple[float, float] | None = None
    override_header: bool = False


def resolve_camera(
    shape: tuple[int, int],
    *,
    header: Mapping[str, CameraValue],
    overrides: CameraOverrides | None,
    camera: Camera | None,
) -> tuple[Camera | None, list[str]]:
    """Return the camera of an image [H,W], and sentences on where each of its values came from.

    A value in the header wins over a flag, and a flag over the camera file; with
    ``override_header`` the header comes last.  Without a source for the distance or the spacing
    there is no camera; without one for the principal point it is the image centre.

    Raises:
        InputError: if the camera file is for another image size, or a value is not possible.
    """
    if camera is not None and (camera.rows, camera.columns) != shape:
        raise InputError(
            f"camera rows and columns must be those of the X-ray, {shape[0]} x {shape[1]}, "
            f"got {camera.rows} x {camera.columns}"
        )
    overrides = overrides or CameraOverrides()
    sources = {
        "the header": dict(header),
        "a flag": _present(overrides),
        CAMERA_FILE: {} if camera is None else _present(camera),
    }
    order = list(sources)
    if overrides.override_header:
        order = [*order[1:], order[0]]
    chosen: dict[str, CameraValue] = {}
    notes: list[str] = []
    for name in FIELDS:
        given = [(source, sources[source][name]) for source in order if name in sources[source]]
        if given:
            chosen[name] = given[0][1]
            notes += _source_notes(name, given, overrides.override_header)
    missing = [name for name in FIELDS[:2] if name not in chosen]
    if missing:
        notes.append(f"The geometry is incomplete, it lacks {' and '.join(missing)}.")
        return None, notes
    if "principal_point_px" not in chosen:
        notes.append("No source gives principal_point_px; it is taken to be the image centre.")
    rows, columns = shape
    return Camera(rows=rows, columns=columns, **chosen), notes  # type: ignore[arg-type]


def _present(source: Camera | CameraOverrides) -> dict[str, CameraValue]:
    values = {name: getattr(source, name) for name in FIELDS}
    return {name: value for name, value in values.items() if value is not None}


def _source_notes(
    name: str, given: list[tuple[str, CameraValue]], override_header: bool
) -> list[str]:
    """Say which source won, which comes first, and in one sentence each which disagree."""
    (winner, value), *others = given
    notes = [f"{name} {value} comes from {winner}."]
    for source, other in others:
        if _differ(value, other):
            notes.append(f"Kept {name} {value} from {winner}, not {other} from {source}")
            hint = winner == "the header" and not override_header
            notes[-1] += "; use override_header (--override-header) for that." if hint else "."
    return notes


def _differ(first: CameraValue, second: CameraValue) -> bool:
    pairs = zip(_as_tuple(first), _as_tuple(second), strict=False)
    return any(abs(a - b) > SAME * max(abs(a), abs(b)) for a, b in pairs)


def _as_tuple(value: CameraValue) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
