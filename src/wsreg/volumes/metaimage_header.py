"""The header of a MetaImage file (.mha, .mhd), read for what libraries fill with defaults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.files.reading_from import reading_from

LONGEST_HEADER = 1 << 16
_PLACING = {
    "ElementSpacing": ("ElementSpacing", "ElementSize"),
    "Offset": ("Offset", "Position", "Origin"),
    "TransformMatrix": ("TransformMatrix", "Rotation", "Orientation"),
}
"""What places the voxels, and the names that each may have."""

_MM_PER_UNIT = {"mm": 1.0, "um": 0.001, "cm": 10.0}


def read_metaimage_header(path: Path) -> dict[str, str]:
    """Return the fields of the header, of which ElementDataFile is the last.

    Raises:
        InputError: the file has no such header, or its voxels are in a file that is not there.
    """
    with reading_from(path, "is not a readable MetaImage file"), path.open("rb") as file:
        start = file.read(LONGEST_HEADER)
    fields: dict[str, str] = {}
    for line in start.split(b"\n"):
        key, equals, value = line.decode("utf-8", errors="replace").partition("=")
        if equals:
            fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    name = fields.get("ElementDataFile")
    if not name:
        raise InputError(f"{path} is not a readable MetaImage file, it has no ElementDataFile")
    one_file = name.upper() not in ("LOCAL", "LIST") and "%" not in name and " " not in name
    if one_file and not (path.parent / name).is_file():
        raise InputError(f"{path} must have its voxels in {name} beside it, there is no such file")
    return fields


def check_metaimage_placement(fields: dict[str, str], path: Path) -> None:
    """Raise InputError unless the header places the voxels."""
    missing = [
        word for word, names in _PLACING.items() if not any(name in fields for name in names)
    ]
    if missing:
        raise InputError(
            f"{path} does not tell how its voxels lie in the patient: its header lacks "
            f"{', '.join(missing)}"
        )


def mm_per_metaimage_unit(fields: dict[str, str]) -> tuple[float, list[str]]:
    """Return the factor from the header's DistanceUnits to millimetres, and what was assumed."""
    unit = fields.get("DistanceUnits", "mm")
    if unit in _MM_PER_UNIT:
        return _MM_PER_UNIT[unit], []
    return 1.0, [f"The header's DistanceUnits {unit} are not known; millimetres were assumed."]


def orientation_doubt(fields: dict[str, str], ct_from_voxel: NDArray[np.float64]) -> list[str]:
    """Say so where AnatomicalOrientation fits TransformMatrix in neither of its two meanings.

    ITK writes where each axis comes from (RAI where axes run to L, P, S), others where it goes to.
    """
    said = fields.get("AnatomicalOrientation", "").upper()
    if not said or set(said) - set("RLAPIS"):
        return []
    axes = ct_from_voxel[:3, :3]
    nearest = np.abs(axes).argmax(axis=0)
    towards = ["RL", "AP", "IS"]
    ahead = [axes[row, column] > 0 for column, row in enumerate(nearest)]
    goes = "".join(towards[row][int(up)] for row, up in zip(nearest, ahead, strict=True))
    comes = "".join(towards[row][int(not up)] for row, up in zip(nearest, ahead, strict=True))
    if said in (goes, comes):
        return []
    return [
        f"The header's AnatomicalOrientation {said} contradicts its TransformMatrix, by which the "
        f"axes run to {', '.join(goes)}; the matrix was taken."
    ]
