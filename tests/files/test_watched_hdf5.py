"""Heaps of texts in HDF5: over damaged ones HDF5 itself would go in circles."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from wsreg.datasets import hdf5
from wsreg.datasets.layout import RECORD_ATTRIBUTE
from wsreg.errors import InputError
from wsreg.files.watched_hdf5 import HEADER, MOST_OBJECTS, SIGNATURE, check_heap, watched_hdf5
from wsreg.geometry.itk_transform import read_itk_transform, write_itk_transform


def _heap(*objects: tuple[int, int], size: int) -> bytes:
    """Return a heap of so many bytes, with objects by number and the length that each tells."""
    content = SIGNATURE + struct.pack("<B3xQ", 1, size)
    for number, length in objects:
        content += struct.pack("<HHIQ", number, 1, 0, length)
        content += bytes(-(-length // 8) * 8) if number and length < size else b""
    return content.ljust(size, b"\0")


@pytest.mark.parametrize(
    "heap",
    [
        _heap((1, 5), (2, 8), (0, 32), size=96),  # 16 + 24 + 24 + 32
        _heap((1, 8), size=40),  # full
        _heap((1, 8), size=48),  # what is left is too short for an object
    ],
)
def test_a_whole_heap(heap: bytes) -> None:
    check_heap(io.BytesIO(b"before" + heap), 6, 8)


@pytest.mark.parametrize(
    "heap",
    [
        _heap((1, 5), (0, 0), size=96),  # HDF5 stays here for ever
        _heap((1, 2**64 - 16), (0, 40), size=96),  # and here: 16 + length is 0 in 64 bits
        _heap((1, 5), (0, 2**64 - 24), size=96),  # and here it would go back
        _heap((1, 5), (0, 64), size=96),  # 16 + 24 + 64 is 104
        _heap((1, 65), size=96),  # 16 + 16 + 72 is 104
        _heap((1, 5), (0, 56), size=96)[:40],  # the file ends before the heap
        _heap(*[(1, 0)] * (MOST_OBJECTS + 1), size=16 * (MOST_OBJECTS + 3)),
    ],
)
def test_a_damaged_heap(heap: bytes) -> None:
    with pytest.raises(OSError, match="its heap of texts is damaged"):
        check_heap(io.BytesIO(heap), 0, 8)


def _damage(path: Path) -> None:
    """Set the length of the free rest of each heap of a file to zero."""
    data = bytearray(path.read_bytes())
    begin = data.find(SIGNATURE)
    assert begin > 0
    while begin > 0:
        at = begin + HEADER
        while int.from_bytes(data[at : at + 2], "little"):
            at += HEADER + -(-int.from_bytes(data[at + 8 : at + 12], "little") // 8) * 8
        data[at + 8 : at + HEADER] = bytes(8)
        begin = data.find(SIGNATURE, at)
    path.write_bytes(data)


def test_texts_and_records_of_data_sets(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    long = "x" * 10_000  # of which HDF5 reads 4096 bytes first
    with h5py.File(path, "w") as file:
        file["b/short"], file["b/long"], file["b/number"] = "one", long, 3.0
        file["b"].attrs[RECORD_ATTRIBUTE] = '{"seed": 1}'
    with hdf5.open_for_reading(path) as file:
        assert hdf5.text(file, "b/short") == "one"
        assert hdf5.text(file, "b/long") == long
        assert hdf5.record(file["b"]) == {"seed": 1}
        assert hdf5.record(file) == {}
    _damage(path)
    with hdf5.open_for_reading(path) as file:
        assert hdf5.number(file, "b/number") == 3
        with pytest.raises(InputError, match=r"^data set a\.h5 /b/short cannot be read: its heap"):
            hdf5.text(file, "b/short")
        with pytest.raises(InputError, match=r"^data set a\.h5 /b cannot be read: its heap"):
            hdf5.record(file["b"])


def test_kind_and_direction_of_transforms(tmp_path: Path) -> None:
    path = tmp_path / "pose.h5"
    write_itk_transform(torch.eye(4, dtype=torch.float64), path)
    assert read_itk_transform(path)[1] == "camera_from_ct"
    _damage(path)
    with pytest.raises(InputError, match=r"pose\.h5 must be an ITK transform in HDF5: its heap of"):
        read_itk_transform(path)


def test_lengths_of_four_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    sizes = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    sizes.set_sizes(8, 4)
    with h5py.File(h5py.h5f.create(bytes(path), fcpl=sizes)) as file:
        file["text"] = "one"
    data = path.read_bytes()
    at = data.find(SIGNATURE) + HEADER + 12  # behind the length of object 1
    path.write_bytes(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :])
    with watched_hdf5(path) as file:
        assert file["text"][()] == b"one"
    _damage(path)
    with watched_hdf5(path) as file, pytest.raises(OSError, match="its heap of texts is damaged"):
        file["text"][()]


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones(10_000)
    with watched_hdf5(path) as file:
        os.truncate(path, 40_000)
        with pytest.raises(OSError, match="it is cut short"):
            file["x"][()]


def test_what_is_kept_of_a_file_does_no_harm_at_exit(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["text"] = "one"
    _damage(path)
    script = """if True:
        import sys
        from wsreg.files.watched_hdf5 import watched_hdf5
        try:
            with watched_hdf5(sys.argv[1]) as file:
                text = file["text"]
                text[()]
        except OSError as error:
            kept = error
        print(kept)
    """
    run = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, "its heap of texts is damaged"), run.stderr
