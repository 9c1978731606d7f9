"""Reading HDF5 with one sentence for everything that can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wsreg.datasets.layout import RECORD_ATTRIBUTE
from wsreg.errors import InputError


def open_for_reading(path: Path) -> h5py.File:
    """Open an HDF5 file.

    Raises:
        InputError: it is missing, no HDF5 file, cut short, or being written by somebody.
    """
    if not path.is_file():
        raise InputError(f"data set {path} must be an HDF5 file, there is none")
    if not h5py.is_hdf5(path):
        raise InputError(f"data set {path} must be an HDF5 file, its first bytes are not one's")
    try:
        return h5py.File(path, "r")
    except BlockingIOError as error:
        raise InputError(f"data set {path} is open for writing elsewhere") from error
    except OSError as error:
        raise InputError(f"data set {path} cannot be read: {_first_sentence(error)}") from error


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group inside another.

    Raises:
        InputError: it is missing, or is a dataset.
    """
    found = parent.get(name)
    if not isinstance(found, h5py.Group):
        raise InputError(f"{_place(parent)} must have the group {name}, {_instead(found)}")
    return found


def dataset(parent: h5py.Group, name: str) -> h5py.Dataset:
    """Return a dataset inside a group.

    Raises:
        InputError: it is missing, or is a group.
    """
    found = parent.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{_place(parent)} must have the dataset {name}, {_instead(found)}")
    return found


def numbers(parent: h5py.Group, name: str, *shape: int | None) -> h5py.Dataset:
    """Return a dataset of numbers, not read yet.

    Args:
        parent: group that holds it.
        name: of the dataset.
        shape: sizes; None stands for any.  A vector may be stored as a column.

    Raises:
        InputError: it is missing, not numeric, or of another shape.
    """
    found = dataset(parent, name)
    if found.dtype.kind not in "iufb":
        raise InputError(f"{_place(parent)}/{name} must hold numbers, got {found.dtype}")
    have = found.shape
    if have is not None and len(have) == len(shape) + 1 and have[-1] == 1:
        have = have[:-1]
    if have is None or len(have) != len(shape) or any(
        want not in (None, size) for want, size in zip(shape, have, strict=True)
    ):  # fmt: skip
        wanted = "x".join("n" if size is None else str(size) for size in shape)
        raise InputError(
            f"{_place(parent)}/{name} must have the shape {wanted}, got {list(found.shape or ())}"
        )
    return found


def array(parent: h5py.Group, name: str, *shape: int | None) -> NDArray[Any]:
    """Read the numbers of a dataset, in the given shape.

    Raises:
        InputError: as :func:`numbers`, or it cannot be read, or holds NaN or infinity.
    """
    found = numbers(parent, name, *shape)
    values: NDArray[Any] = np.asarray(read(found)).reshape(found.shape[: len(shape)])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(f"{_place(parent)}/{name} must be finite, some are NaN or infinite")
    return values


def number(parent: h5py.Group, name: str) -> float:
    """Read a scalar dataset, stored as such or as an array of one number.

    Raises:
        InputError: it is missing, cannot be read, or is not one finite number.
    """
    found = dataset(parent, name)
    value = np.asarray(read(found))
    if value.size != 1 or value.dtype.kind not in "iufb" or not np.isfinite(value).all():
        raise InputError(
            f"{_place(parent)}/{name} must be one finite number, "
            f"got {found.dtype} {list(found.shape or ())}"
        )
    return float(value.ravel()[0])


def text(parent: h5py.Group, name: str) -> str:
    """Read a string dataset.

    Raises:
        InputError: it is missing, cannot be read, or is not one string.
    """
    found = dataset(parent, name)
    value = np.asarray(read(found))
    if value.size != 1 or value.dtype.kind not in "OSU":
        raise InputError(
            f"{_place(parent)}/{name} must be one string, "
            f"got {found.dtype} {list(found.shape or ())}"
        )
    first = value.ravel()[0]
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def read(found: h5py.Dataset, selection: Any = ()) -> Any:
    """Read what a dataset holds, or a part of it.

    Raises:
        InputError: the file is damaged there.
    """
    try:
        return found[selection]
    except OSError as error:
        raise InputError(f"{_place(found)} cannot be read: {_first_sentence(error)}") from error


def record(parent: h5py.Group) -> dict[str, Any]:
    """Read what a simulator noted; it is empty for real data.

    Raises:
        InputError: it is not a JSON object.
    """
    noted = parent.attrs.get(RECORD_ATTRIBUTE, "{}")
    try:
        found = json.loads(noted)
    except ValueError as error:
        raise InputError(f"{_place(parent)} {RECORD_ATTRIBUTE} must be JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{_place(parent)} {RECORD_ATTRIBUTE} must be a JSON object, got {noted}")
    return found


def _instead(found: object) -> str:
    return "which is missing" if found is None else f"which is a {type(found).__name__.lower()}"


def _place(inside: h5py.Group | h5py.Dataset) -> str:
    name = "" if inside.name == "/" else f" {inside.name}"
    return f"data set {Path(inside.file.filename).name}{name}"


def _first_sentence(error: OSError) -> str:
    """Return what HDF5 gives as its reason, in brackets."""
    text = str(error)
    return text[text.find("(") + 1 :].rstrip(")") or type(error).__name__
