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
    """A group inside another.

    Raises:
        InputError: it is missing, or is a dataset.
    """
    found = parent.get(name)
    if not isinstance(found, h5py.Group):
        raise InputError(f"{_place(parent)} must have the group {name}, {_instead(found)}")
    return found


def array(parent: h5py.Group, name: str, *shape: int | None) -> NDArray[Any]:
    """A numeric dataset of the given shape; vectors may be stored as columns.

    Args:
        parent: group that holds it.
        name: of the dataset.
        shape: sizes; None stands for any.

    Raises:
        InputError: it is missing, unreadable, not numeric, or of another shape.
    """
    found = dataset(parent, name)
    if found.dtype.kind not in "iufb":
        raise InputError(f"{_place(parent)}/{name} must hold numbers, got {found.dtype}")
    stored = found.shape[:-1] if len(found.shape) == len(shape) + 1 and found.shape[-1] == 1 else (
        found.shape
    )  # fmt: skip
    fits = len(stored) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, stored, strict=True)
    )
    if not fits:
        wanted = "x".join("n" if size is None else str(size) for size in shape) or "scalar"
        raise InputError(
            f"{_place(parent)}/{name} must have the shape {wanted}, got {list(found.shape)}"
        )
    try:
        return np.asarray(found[()]).reshape(stored)
    except OSError as error:
        raise InputError(
            f"{_place(parent)}/{name} cannot be read: {_first_sentence(error)}"
        ) from error


def number(parent: h5py.Group, name: str) -> float:
    """A scalar dataset, stored as such or as an array of one number."""
    found = dataset(parent, name)
    if found.size != 1 or found.dtype.kind not in "iufb":
        raise InputError(
            f"{_place(parent)}/{name} must be one number, got {found.dtype} {list(found.shape)}"
        )
    return float(np.asarray(found[()]).ravel()[0])


def text(parent: h5py.Group, name: str) -> str:
    """A string dataset."""
    value = np.asarray(dataset(parent, name)[()]).ravel()
    first = value[0] if value.size else b""
    return first.decode("utf-8") if isinstance(first, bytes) else str(first)


def dataset(parent: h5py.Group, name: str) -> h5py.Dataset:
    """A dataset inside a group.

    Raises:
        InputError: it is missing, or is a group.
    """
    found = parent.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{_place(parent)} must have the dataset {name}, {_instead(found)}")
    return found


def record(parent: h5py.Group) -> dict[str, Any]:
    """What a simulator noted; empty for real data."""
    noted = parent.attrs.get(RECORD_ATTRIBUTE)
    if noted is None:
        return {}
    found = json.loads(noted)
    return dict(found) if isinstance(found, dict) else {}


def _instead(found: object) -> str:
    return "which is missing" if found is None else f"which is a {type(found).__name__.lower()}"


def _place(parent: h5py.Group) -> str:
    inside = "" if parent.name == "/" else f" {parent.name}"
    return f"data set {Path(parent.file.filename).name}{inside}"


def _first_sentence(error: OSError) -> str:
    """HDF5 gives its reason in brackets."""
    text = str(error)
    return text[text.find("(") + 1 :].rstrip(")") or type(error).__name__
