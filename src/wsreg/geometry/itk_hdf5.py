"""ITK transforms in HDF5 as the text that ITK writes of them.

ITK's own copy of HDF5 ends the process at some damaged files; h5py's says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.reading_from import reading_from
from wsreg.files.watched_hdf5 import watched_hdf5

TEXT_HEADER = "#Insight Transform File"
MOST_NUMBERS = 1000
"""Of a linear transform there are 12; fields of displacements have millions."""
_NUMBERS = {"Parameters": "TransformParameters", "FixedParameters": "TransformFixedParameters"}


def itk_text_of(path: Path) -> str:
    """Return ITK's text form of all transforms in a file, with all digits.

    Raises:
        InputError: it is no HDF5 file of transforms, or has far more numbers than linear ones.
    """
    rule = "must be an ITK transform in HDF5"
    with reading_from(path, rule), watched_hdf5(path) as file:
        group = _inside(file, "TransformGroup", path)
        names = sorted(group, key=int)
        transforms = [_transform_text(_inside(group, name, path), path) for name in names]
    return "\n".join((f"{TEXT_HEADER} V1.0", *transforms)) + "\n"


def _transform_text(group: Any, path: Path) -> str:
    kind = _inside(group, "TransformType", path)[0].decode("ascii")
    if not kind.replace("_", "").isalnum():
        raise ValueError(f"a transform of kind {kind!r}")
    lines = ["#Transform", f"Transform: {kind}"]
    for word, name in _NUMBERS.items():
        if name not in group and kind.startswith("Composite"):
            continue
        numbers = _inside(group, name, path)
        lines.append(f"{word}: {' '.join(map(repr, map(float, numbers[()])))}")
    return "\n".join(lines)


def _inside(group: Any, name: str, path: Path) -> Any:
    """Return what a group holds itself: links may lead into other files."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise InputError(f"{path} must hold an ITK transform, it lacks {name}")
    found = group[name]
    size = getattr(found, "nbytes", 0) // 8  # a group has none
    if size > MOST_NUMBERS:
        raise InputError(f"{path} must hold a rigid transform, got {size} numbers")
    return found
