"""Reading HDF5 with one sentence for everything that can be wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wsreg.datasets.layout import RECORD_ATTRIBUTE
from wsreg.errors import InputError
from wsreg.files.memory import check_fits
from wsreg.files.packed import BLOCK, HIGHEST_RATIO
from wsreg.files.reading_from import FOREIGN_ERRORS, reason_of
from wsreg.files.watched_hdf5 import watched_hdf5

MOST_LINKS = 16
"""That are followed from one to the next."""

COPIES = 2
"""What the numbers of a file take while they become a tensor, in their own size."""


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
    except FOREIGN_ERRORS as error:
        raise InputError(f"data set {path} cannot be read: {_first_sentence(error)}") from error


def names(parent: h5py.Group) -> tuple[str, ...]:
    """Return the names of what is in a group.

    Raises:
        InputError: the file is damaged there.
    """
    with _from(parent):
        found = tuple(parent)
    strange = next((name for name in found if not isinstance(name, str)), None)
    if strange is not None:  # h5py leaves as bytes what is no UTF-8
        raise InputError(f"{_place(parent)} must hold names in UTF-8, got {strange!r}")
    return found


def has(parent: h5py.Group, name: str) -> bool:
    """Tell whether a group holds something of a name.

    Raises:
        InputError: the file is damaged there, or what it holds is in another file.
    """
    return _get(parent, name) is not None


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group inside another.

    Raises:
        InputError: it is missing, or is a dataset.
    """
    found = _get(parent, name)
    if not isinstance(found, h5py.Group):
        raise InputError(f"{_place(parent)} must have the group {name}, {_instead(found)}")
    return found


def dataset(parent: h5py.Group, name: str) -> h5py.Dataset:
    """Return a dataset inside a group.

    Raises:
        InputError: it is missing, or is a group.
    """
    found = _get(parent, name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{_place(parent)} must have the dataset {name}, {_instead(found)}")
    with _from(found):
        made = found.id.get_create_plist()
        if made.get_external_count() or made.get_layout() == h5py.h5d.VIRTUAL:
            raise InputError(f"{_place(found)} must be in this file, its numbers are in others")
    return found


def _get(parent: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Return what a group holds, following no link that leaves the file; None if nothing.

    Raises:
        InputError: the file is damaged there, or a link leaves it or goes in circles.
    """
    at, parts, followed = parent.id, _parts(name.encode()), 0
    with _from(parent):
        while parts:
            part = parts.pop(0)
            if not isinstance(at, h5py.h5g.GroupID) or not at.links.exists(part):
                return None
            kind = at.links.get_info(part).type
            if kind == h5py.h5l.TYPE_HARD:
                at = h5py.h5o.open(at, part)
                continue
            followed += 1
            if kind != h5py.h5l.TYPE_SOFT or followed > MOST_LINKS:
                raise InputError(
                    f"{_place(parent)} must hold {name} itself, it is a link to another file or "
                    "one in circles"
                )
            target = at.links.get_val(part)
            if target.startswith(b"/"):
                at = h5py.h5g.open(parent.file.id, b"/")
            parts = _parts(target) + parts
        return _object(at)


def _parts(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part not in (b"", b".")]


def _object(found: Any) -> h5py.Group | h5py.Dataset | None:
    """Return an open object as h5py has it; None for a type that was given a name."""
    kinds = {h5py.h5g.GroupID: h5py.Group, h5py.h5d.DatasetID: h5py.Dataset}
    kind = kinds.get(type(found))
    return None if kind is None else kind(found)


@contextmanager
def _from(place: h5py.Group | h5py.Dataset) -> Iterator[None]:
    """Turn what HDF5 throws at a damaged file into one sentence."""
    try:
        yield
    except InputError:
        raise
    except FOREIGN_ERRORS as error:
        raise InputError(f"{_place(place)} cannot be read: {_first_sentence(error)}") from error


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
    with _from(found):
        dtype, have = found.dtype, found.shape
    if dtype.kind not in "iufb":
        raise InputError(f"{_place(parent)}/{name} must hold numbers, got {dtype}")
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
        InputError: the file is damaged there, or tells of more than it holds or than fits into
            memory.
    """
    with _from(found):
        _check_size(found)
        if not found.dtype.hasobject:
            return found[selection]
        with watched_hdf5(found.file.filename) as file:
            return file[found.name][selection]


def _check_size(found: h5py.Dataset) -> None:
    """Hold what a dataset says of its size against what its file stores of it, and memory."""
    item = found.dtype.itemsize
    size = (found.size or 0) * item
    chunk = math.prod(found.chunks) * item if found.chunks else 0
    if max(size, chunk) <= BLOCK:  # whatever it is, it is read in no time
        return
    stored = found.id.get_storage_size()
    words = f"{' x '.join(map(str, found.shape or ()))} values of {found.dtype}"
    if chunk > size:
        words += f" in pieces of {' x '.join(map(str, found.chunks))}"
    if max(size, chunk) > HIGHEST_RATIO * stored + BLOCK or stored > _file_bytes(found):
        raise InputError(
            f"{_place(found)} tells of {words}, of which the file stores {stored} bytes"
        )
    check_fits(COPIES * size + chunk, _place(found), words)


def _file_bytes(found: h5py.Dataset) -> int:
    return Path(found.file.filename).stat().st_size


def has_record(parent: h5py.Group) -> bool:
    """Tell whether a simulator noted something.

    Raises:
        InputError: the file is damaged there.
    """
    with _from(parent):
        return RECORD_ATTRIBUTE in parent.attrs


def record(parent: h5py.Group) -> dict[str, Any]:
    """Read what a simulator noted; it is empty for real data.

    Raises:
        InputError: it is not a JSON object.
    """
    if not has_record(parent):
        return {}
    with _from(parent), watched_hdf5(parent.file.filename) as file:
        noted = file[parent.name].attrs[RECORD_ATTRIBUTE]
    try:
        found = json.loads(noted)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{_place(parent)} {RECORD_ATTRIBUTE} must be JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{_place(parent)} {RECORD_ATTRIBUTE} must be a JSON object, got {noted}")
    return found


def _instead(found: object) -> str:
    return "which is missing" if found is None else f"which is a {type(found).__name__.lower()}"


def _place(inside: h5py.Group | h5py.Dataset) -> str:
    try:
        name = "" if inside.name in ("/", None) else f" {inside.name}"
        return f"data set {Path(inside.file.filename).name}{name}"
    except FOREIGN_ERRORS:  # so damaged that it does not even have a name
        return "data set"


def _first_sentence(error: Exception) -> str:
    """Return what HDF5 gives as its reason, in brackets."""
    text = reason_of(error)
    return text[text.find("(") + 1 :].rstrip(")") or type(error).__name__
