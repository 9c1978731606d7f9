"""Breaks HDF5 and DICOM in their own terms: objects that lie, tags of wrong values, links."""

from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from wsreg.dicom.files import parsing_errors

DICOM_NUMBERS = (
    b"", b"\xff\xff", b"\x00\x00", b"\xff\xff\xff\xff", b"abc ", b"NaN ", b"1e999 ", b"-1", b"0 ",
    b"1\\2\\3\\4 ", b"\xff\xfe", b"99999999999999999999", b"65535 ", b"2147483647",
)  # fmt: skip
"""What may lie where the value of a tag should."""

ODD_ARRAYS: tuple[Any, ...] = (
    "text", np.zeros((2, 2)), np.array(np.nan), np.array(np.inf), np.zeros(0), -1, 2**63,
    np.full((3, 1), np.nan), h5py.Empty("f"), np.array([b"a", b"b"]), 1e300,
)  # fmt: skip
"""What may lie where a dataset should."""

HUGE_SHAPES = ((2**31, 2**20), (50_000, 50_000), (2**40,), (1300, 1300, 1300), (10_000, 60_000))


def break_hdf5(data: bytes, rng: np.random.Generator) -> bytes:
    """Delete or replace one object of an HDF5 file."""
    content = io.BytesIO(data)
    try:
        with h5py.File(content, "r+", track_order=False) as file:
            names: list[str] = []
            file.visit(names.append)
            name = names[int(rng.integers(len(names)))]
            del file[name]
            _put(file, name, int(rng.integers(8)), rng)
    except (RuntimeError, KeyError, TypeError) as error:
        raise ValueError("not to be broken in its own terms") from error
    return content.getvalue()


def _put(file: h5py.File, name: str, choice: int, rng: np.random.Generator) -> None:
    """Put something else in the place of an object; nothing for 0."""
    if choice == 1:
        file.create_group(name)
    elif choice == 2:
        file[name] = h5py.ExternalLink("/etc/hostname", "/")
    elif choice == 3:
        file[name] = h5py.SoftLink(("/nowhere", "/", "/proj-params")[int(rng.integers(3))])
    elif choice == 4:
        shape = HUGE_SHAPES[int(rng.integers(len(HUGE_SHAPES)))]
        packed = {"chunks": (64,) * len(shape), "compression": "gzip"} if rng.random() < 0.5 else {}
        file.create_dataset(name, shape, "f4", **packed)
    elif choice == 5:
        file.create_dataset(name, (64,), "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])
    elif choice >= 6:
        file[name] = ODD_ARRAYS[int(rng.integers(len(ODD_ARRAYS)))]


def break_dicom(data: bytes, rng: np.random.Generator) -> bytes:
    """Delete a tag of a DICOM file, or give one a value that it should not have."""
    target = io.BytesIO()
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        _break_one(dataset, rng)
        dataset.save_as(target, enforce_file_format=False)
    except parsing_errors() as error:
        raise ValueError("not to be broken in its own terms") from error
    return target.getvalue()


def _break_one(dataset: Dataset, rng: np.random.Generator) -> None:
    holders = [dataset.file_meta, *_datasets(dataset)]
    holder = holders[int(rng.integers(len(holders)))]
    tags = list(holder.keys())
    tag = tags[int(rng.integers(len(tags)))]
    if rng.random() < 0.2:
        del holder[tag]
    elif holder[tag].VR == "SQ":
        holder[tag].value = [] if rng.random() < 0.5 else [Dataset()]
    else:
        word = DICOM_NUMBERS[int(rng.integers(len(DICOM_NUMBERS)))]
        holder._dict[tag] = RawDataElement(
            tag, holder[tag].VR, len(word), word, 0, False, True, True
        )


def _datasets(dataset: Dataset) -> list[Dataset]:
    """Return a data set and those in its sequences."""
    found = [dataset]
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                found += _datasets(item)
    return found
