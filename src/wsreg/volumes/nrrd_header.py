"""The header of an NRRD file, read for what libraries fill with defaults: where the voxels lie."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.files.reading_from import reading_from

LARGEST_HEADER = 1 << 22
"""Bytes; headers of segmentations with hundreds of segments have some 100 000."""

_LPS_SIGNS = {
    "left-posterior-superior": (1, 1, 1),
    "left-anterior-superior": (1, -1, 1),
    "right-anterior-superior": (-1, -1, 1),
}
_SHORT = {"lps": "left-posterior-superior", "las": "left-anterior-superior",
          "ras": "right-anterior-superior"}  # fmt: skip
_MM_PER_UNIT = {
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "m": 1000.0, "meter": 1000.0,
    "metre": 1000.0, "um": 0.001, "µm": 0.001, "micron": 0.001,
}  # fmt: skip


class NrrdHeader(NamedTuple):
    """What an NRRD header says.

    Args:
        fields: the format's own fields by their names in lower case.
        values: what programs add, by key (``key:=value``).
        end: bytes of the header, after which the voxels begin unless they are in another file.
    """

    fields: dict[str, str]
    values: dict[str, str]
    end: int = 0


def read_nrrd_header(path: Path) -> NrrdHeader:
    """Read the header of a .nrrd or .nhdr file, up to its first empty line.

    Raises:
        InputError: the file does not begin as NRRD does.
    """
    with reading_from(path, "is not a readable NRRD file"), path.open("rb") as file:
        start = file.read(LARGEST_HEADER)
    if not start.startswith(b"NRRD"):
        raise InputError(f"{path} is not a readable NRRD file, it does not begin with NRRD")
    blank = re.search(rb"\r?\n\r?\n", start)
    header = start[: blank.start() if blank else None].decode("utf-8", errors="replace")
    fields, values = {}, {}
    for line in header.splitlines()[1:]:
        if line.startswith("#"):
            continue
        if match := re.match(r"([^:]*?): (.*)$", line):
            fields[match[1].strip().lower()] = match[2].strip()
        elif match := re.match(r"(.*?):=(.*)$", line):
            values[match[1]] = match[2].strip()
    return NrrdHeader(fields, values, blank.end() if blank else len(start))


def nrrd_placement(header: NrrdHeader, path: Path) -> tuple[NDArray[np.float64], float, list[str]]:
    """Return the affine from voxel index to LPS mm, the factor to mm, and what was assumed.

    Raises:
        InputError: no space, no directions or no origin, or ones that cannot be read.
    """
    fields = header.fields
    missing = [name for name in ("space", "space directions", "space origin") if name not in fields]
    if missing:
        raise InputError(
            f"{path} does not tell how its voxels lie in the patient: its header lacks "
            f"{', '.join(missing)}"
        )
    space = fields["space"].lower()
    signs = _LPS_SIGNS.get(_SHORT.get(space, space))
    if signs is None:
        raise InputError(
            f"{path} does not tell how its voxels lie in the patient: its space must be one of "
            f"{', '.join(_LPS_SIGNS)}, got {fields['space']}"
        )
    axes = [axis for axis in _vectors(fields["space directions"]) if np.isfinite(axis).any()]
    origin = _vectors(fields["space origin"])
    if [len(vector) for vector in (*axes, *origin)] != [3] * 4:
        raise InputError(
            f"{path} must have three space directions and a space origin of three numbers each, "
            f"got {fields['space directions']} and {fields['space origin']}"
        )
    to_mm, notes = _mm_per_unit(fields, path)
    affine = np.eye(4)
    affine[:3, :3] = np.stack(axes, axis=1) * np.array(signs)[:, None] * to_mm
    affine[:3, 3] = origin[0] * signs * to_mm
    return affine, to_mm, notes


def _vectors(text: str) -> list[NDArray[np.float64]]:
    """Return the vectors in a field; NaN for ``none`` and for what is no number."""
    found = []
    for word in re.findall(r"\([^()]*\)|none", text):
        numbers = word.strip("()").split(",")
        try:
            found.append(np.array([np.nan if n == "none" else float(n) for n in numbers]))
        except ValueError:
            found.append(np.full(len(numbers), np.nan))
    return found


def _mm_per_unit(fields: dict[str, str], path: Path) -> tuple[float, list[str]]:
    """Return the factor from the units of the space to millimetres, and what was assumed."""
    if "space units" not in fields:
        return 1.0, []
    units = re.findall(r'"([^"]*)"', fields["space units"])
    factors = [_MM_PER_UNIT.get(unit.strip().lower()) for unit in units]
    known = [factor for factor in factors if factor is not None]
    if len(known) != 3:
        return 1.0, [
            f"The space units of the NRRD header, {fields['space units']}, are not known; "
            "millimetres were assumed."
        ]
    if len(set(known)) > 1:
        raise InputError(f"{path} must have one space unit, got {fields['space units']}")
    return known[0], []
