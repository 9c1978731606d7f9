"""Landmarks of a CT that a person has found in an X-ray, and the files they come in."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.json_files import read_json
from wsreg.files.reading_from import read_text, reading_from
from wsreg.geometry.arrays import finite_numbers, in_words
from wsreg.geometry.camera import Camera

FEWEST = 2
"""With two, what they leave open is taken from the view; four or more stand by themselves."""
COLLINEAR_FRACTION = 0.02
"""Three or more points are on a line if they leave it by less than this fraction of its length."""
BESIDE_IMAGE = 0.1
"""How far beside the X-ray a landmark may be placed, as a fraction of the image's longer side."""
_FLIP_TO_LPS = torch.tensor((-1.0, -1.0, 1.0), dtype=torch.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Landmarks:
    """N landmarks that are known in the CT and in one X-ray.

    Args:
        names: of them.
        points_mm: [N,3] in the CT (LPS mm).
        pixels: [N,2] in the X-ray, (column, row).

    Raises:
        InputError: fewer than two, parts that do not fit, or three or more on a line, about which
            the CT could turn.
    """

    names: tuple[str, ...]
    points_mm: Tensor
    pixels: Tensor

    def __post_init__(self) -> None:
        count = len(self.names)
        if count < FEWEST:
            raise InputError(
                f"landmarks must be at least {FEWEST} that both X-ray and CT have, got "
                f"{count}{f' ({self.names[0]})' if count else ''}"
            )
        points = finite_numbers(self.points_mm, "landmarks points_mm", (count, 3))
        object.__setattr__(self, "points_mm", points)
        object.__setattr__(
            self, "pixels", finite_numbers(self.pixels, "landmarks pixels", (count, 2))
        )
        length, across, *_ = torch.linalg.svdvals(points - points.mean(dim=0)).tolist()
        if length <= 0.0:
            raise InputError(
                f"landmarks must lie apart, {', '.join(self.names)} are one point in the CT"
            )
        if count > FEWEST and across < COLLINEAR_FRACTION * length:
            raise InputError(
                "landmarks must not lie on one line, about which the CT could turn, got "
                f"{', '.join(self.names)}"
            )

    def check_fits(self, camera: Camera, corners_mm: Tensor) -> None:
        """Refuse landmarks that cannot be of an X-ray, or not of a CT.

        A point may be placed a little beside the image (:data:`BESIDE_IMAGE`); a CT may be cut, so
        its landmarks may lie beside it, but no farther than it is large.

        Args:
            camera: of the X-ray.
            corners_mm: [8,3] of the CT.

        Raises:
            InputError: a pixel far outside of the image, or a point far outside of the CT.
        """
        low, high = corners_mm.amin(dim=0), corners_mm.amax(dim=0)
        beside = torch.maximum(low - self.points_mm, self.points_mm - high).amax(dim=-1)
        far = beside > (high - low).max()
        last = torch.tensor((camera.columns - 1, camera.rows - 1), dtype=torch.float64)
        margin = BESIDE_IMAGE * max(camera.columns, camera.rows)
        outside = ((self.pixels < -margin) | (self.pixels > last + margin)).any(dim=-1)
        for number, name in enumerate(self.names):
            if bool(outside[number]):
                raise InputError(
                    f"landmark {name} must lie in the X-ray of {camera.columns} columns and "
                    f"{camera.rows} rows, or just beside it, got {in_words(self.pixels[number])}"
                )
            if bool(far[number]):
                raise InputError(
                    f"landmark {name} must lie in the CT or near it, LPS mm, got "
                    f"{in_words(self.points_mm[number])}"
                )

    def mirrored(self, columns: int) -> Landmarks:
        """Return the landmarks in the mirrored X-ray of so many columns."""
        pixels = self.pixels.clone()
        pixels[:, 0] = columns - 1 - pixels[:, 0]
        return dataclasses.replace(self, pixels=pixels)


def matched(
    pixels: Mapping[str, Sequence[float]], points_mm: Mapping[str, Sequence[float]], source: str
) -> Landmarks:
    """Return the landmarks of an X-ray, by name, with where they are in the CT.

    Raises:
        InputError: the CT lacks one; ``source`` says whose they are.
    """
    unknown = [name for name in pixels if name not in points_mm]
    if unknown:
        raise InputError(
            f"landmarks {source} must be among those of the CT, {', '.join(points_mm) or 'none'}; "
            f"it lacks {', '.join(unknown)}"
        )
    try:
        return Landmarks(
            names=tuple(pixels),
            points_mm=torch.tensor([list(points_mm[name]) for name in pixels], dtype=torch.float64),
            pixels=torch.tensor([list(pixels[name]) for name in pixels], dtype=torch.float64),
        )
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def read_landmarks(
    path: str | Path, xray: str, of_ct: str | Path | None = None, *, several: bool = False
) -> Landmarks:
    """Read the landmarks of one X-ray.

    The file is JSON ``{"image_px": {"left-asis": [column, row], ...}, "ct_mm": {"left-asis":
    [x, y, z], ...}}``, LPS millimetres.  ``image_px`` may hold such an object for each of several
    X-rays, by their names; ``ct_mm`` may be in a file of its own, see :func:`read_ct_landmarks`.

    Args:
        path: of the file.
        xray: name of the X-ray (file name without suffix).
        of_ct: file with the landmarks of the CT.
        several: whether it is one of several X-rays, each of which needs its own.

    Raises:
        InputError: unreadable, something else, no such X-ray, or landmarks that the CT lacks.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("image_px"), dict):
        raise InputError(
            f'landmarks {path} must be JSON with "image_px", names with [column, row], '
            f"got {in_words(content)}"
        )
    pixels = content["image_px"]
    if pixels and all(isinstance(entry, dict) for entry in pixels.values()):
        if xray not in pixels:
            raise InputError(
                f"landmarks {path} must have an entry for X-ray {xray}, it has {', '.join(pixels)}"
            )
        pixels = pixels[xray]
    elif several:
        raise InputError(
            f'landmarks {path} must have an entry in "image_px" for each of several X-rays, by the '
            "names of their files, got one for all"
        )
    if of_ct is None and "ct_mm" not in content:
        raise InputError(
            f'landmarks {path} must have "ct_mm", where they are in the CT, or come with a file of '
            "these (--ct-landmarks)"
        )
    points = read_ct_landmarks(of_ct) if of_ct is not None else _points(content["ct_mm"], path, 3)
    return matched(_points(pixels, path, 2), points, str(path))


def read_ct_landmarks(path: str | Path) -> dict[str, list[float]]:
    """Read named points of a CT: name -> [x, y, z] (LPS mm).

    JSON ``{"left-asis": [x, y, z], ...}``, or 3D Slicer's markups (.mrk.json, .fcsv).

    Raises:
        InputError: unreadable, or something else.
    """
    path = Path(path)
    if path.name.lower().endswith(".fcsv"):
        return _from_fcsv(path)
    content = read_json(path)
    if isinstance(content, dict) and "markups" in content:
        return _from_markups(content["markups"], path)
    return _points(content, path, 3)


def _points(content: Any, path: str | Path, size: int) -> dict[str, list[float]]:
    if not isinstance(content, dict) or not content:
        raise InputError(f"landmarks {path} must name points, got {in_words(content)}")
    return {
        str(name): finite_numbers(entry, f"landmark {name} of {path}", (size,)).tolist()
        for name, entry in content.items()
    }


def _from_markups(markups: Any, path: Path) -> dict[str, list[float]]:
    """Return the control points of Slicer's markups, which say whether they are in LPS or RAS."""
    found: dict[str, list[float]] = {}
    for markup in markups if isinstance(markups, list) else []:
        system = markup.get("coordinateSystem", "LPS") if isinstance(markup, dict) else None
        if system not in ("LPS", "RAS"):
            raise InputError(f"landmarks {path} must be in LPS or RAS, got {system!r}")
        points = markup.get("controlPoints")
        for point in points if isinstance(points, list) else []:
            if not isinstance(point, dict):
                raise InputError(
                    f"landmarks {path} must hold control points, got {in_words(point)}"
                )
            if point.get("positionStatus", "defined") == "defined":  # else it was never placed
                name = str(point.get("label", ""))
                _add(found, name, point.get("position"), path, in_ras=system == "RAS")
    if not found:
        raise InputError(f"landmarks {path} must hold control points, it has none")
    return found


def _from_fcsv(path: Path) -> dict[str, list[float]]:
    """Return the fiducials of Slicer's .fcsv: id, x, y, z, ..., the label in the twelfth column."""
    lines = read_text(path).splitlines()
    said = (line.partition("=")[2].strip() for line in lines if "CoordinateSystem" in line)
    system = next(said, "")
    if system not in ("LPS", "RAS", "0", "1"):
        raise InputError(f"landmarks {path} must say CoordinateSystem = LPS or RAS, got {system!r}")
    found: dict[str, list[float]] = {}
    with reading_from(f"landmarks {path}", "must be a table with commas", csv.Error):
        rows = list(csv.reader(line for line in lines if line and not line.startswith("#")))
    for row in rows:
        if len(row) < 12:
            raise InputError(f"landmarks {path} must have 12 columns or more, got {len(row)}")
        try:
            numbers = [float(cell) for cell in row[1:4]]
        except ValueError:
            numbers = []
        _add(found, row[11], numbers, path, in_ras=system in ("RAS", "0"))
    if not found:
        raise InputError(f"landmarks {path} must hold points, it has none")
    return found


def _add(found: dict[str, list[float]], name: str, place: Any, path: Path, *, in_ras: bool) -> None:
    """Add a point in LPS; of two with one name nobody knows which is meant."""
    if name in found:
        raise InputError(f"landmarks {path} must have names of their own, {name!r} comes twice")
    point = finite_numbers(place, f"landmark {name} of {path}", (3,))
    found[name] = (point * _FLIP_TO_LPS if in_ras else point).tolist()
