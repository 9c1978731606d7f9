"""Put a camera together from a header, a camera file and single flags, saying which source won."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.plausibility import camera_warnings

CameraValue = float | tuple[float, float]

_LENGTHS = {"source_to_detector_mm", "pixel_spacing_mm"}
FIELDS = ("source_to_detector_mm", "pixel_spacing_mm", "principal_point_px")

HEADER = "the header"
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
    ``override_header`` the header comes last.  Of a camera file of OpenCV's K the focal lengths
    hold: where header or flags give the distance or the spacing alone, the other follows.  Values
    that no machine has are warned of (those of the header where it is read).  Without a source for
    the distance or the spacing there is no camera; without one for the principal point it is the
    image centre.

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
        HEADER: dict(header),
        "a flag": _present(overrides),
        CAMERA_FILE: {} if camera is None else _present(camera),
    }
    order = list(sources)
    if overrides.override_header:
        order = [*order[1:], order[0]]
    if camera is not None and camera.from_focal_lengths:
        sources, order = _with_focal_lengths(sources, order, camera)
    chosen: dict[str, CameraValue] = {}
    winners: dict[str, str] = {}
    notes: list[str] = []
    for name in FIELDS:
        given = [(source, sources[source][name]) for source in order if name in sources[source]]
        if given:
            winners[name], chosen[name] = given[0]
            notes += _source_notes(name, given, overrides.override_header)
    missing = [name for name in FIELDS[:2] if name not in chosen]
    if missing:
        notes.append(f"The geometry is incomplete, it lacks {' and '.join(missing)}.")
        return None, notes
    if "principal_point_px" not in chosen:
        notes.append("No source gives principal_point_px; it is taken to be the image centre.")
    rows, columns = shape
    found = Camera(rows=rows, columns=columns, **chosen)  # type: ignore[arg-type]
    doubted = [name for name in FIELDS if winners.get(name) != HEADER]
    return found, [*notes, *camera_warnings(found, doubted)]


def _with_focal_lengths(
    sources: dict[str, dict[str, CameraValue]], order: list[str], camera: Camera
) -> tuple[dict[str, dict[str, CameraValue]], list[str]]:
    """Return sources and their order with distance and spacing from K and the other of the two.

    The first source before the camera file that gives one of them decides; it gives both, if any.
    """
    before = order[: order.index(CAMERA_FILE)]
    first = next((source for source in before if not _LENGTHS.isdisjoint(sources[source])), None)
    if first is None or sources[first].keys() >= _LENGTHS:
        return sources, order
    scale = _scale_to(sources[first], camera)
    rows_mm, columns_mm = camera.pixel_spacing_mm
    both: dict[str, CameraValue] = {
        "source_to_detector_mm": scale * camera.source_to_detector_mm,
        "pixel_spacing_mm": (scale * rows_mm, scale * columns_mm),
    }
    name = f"{CAMERA_FILE}'s focal lengths and {first}"
    rest = {source: dict(values) for source, values in sources.items()}
    for length in _LENGTHS:  # its own are one choice of many
        rest[CAMERA_FILE].pop(length)
    return {name: both, **rest}, [name, *order]


def _scale_to(given: Mapping[str, CameraValue], camera: Camera) -> float:
    """Return by how much a camera's lengths grow for its distance, or else its pixels' area."""
    distance = given.get("source_to_detector_mm")
    if distance is not None:
        return float(distance) / camera.source_to_detector_mm  # type: ignore[arg-type]
    rows_mm, columns_mm = _as_tuple(given["pixel_spacing_mm"])
    own_rows_mm, own_columns_mm = camera.pixel_spacing_mm
    return math.sqrt(rows_mm / own_rows_mm * (columns_mm / own_columns_mm))


def _present(source: Camera | CameraOverrides) -> dict[str, CameraValue]:
    values = {name: getattr(source, name) for name in FIELDS}
    return {name: value for name, value in values.items() if value is not None}


def _source_notes(
    name: str, given: list[tuple[str, CameraValue]], override_header: bool
) -> list[str]:
    """Say which source won, which comes first, and in one sentence each which disagree."""
    (winner, value), *others = given
    notes = [f"{name} {_rounded(value)} comes from {winner}."]
    for source, other in others:
        if _differ(value, other):
            notes.append(
                f"Kept {name} {_rounded(value)} from {winner}, not {_rounded(other)} from {source}"
            )
            hint = HEADER in winner and not override_header
            notes[-1] += "; use override_header (--override-header) for that." if hint else "."
    return notes


def _rounded(value: CameraValue) -> CameraValue:
    """Return a value to be read: what is computed has more digits than anyone wants."""
    if isinstance(value, tuple | list):
        return tuple(float(f"{number:.7g}") for number in value)  # type: ignore[return-value]
    return float(f"{value:.7g}")


def _differ(first: CameraValue, second: CameraValue) -> bool:
    pairs = zip(_as_tuple(first), _as_tuple(second), strict=False)
    return any(abs(a - b) > SAME * max(abs(a), abs(b)) for a, b in pairs)


def _as_tuple(value: CameraValue) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
