"""NumPy's files: what was written comes back, what they only tell of is not allocated."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.files.arrays import read_array, read_arrays

RULE = "must be an array"


def npy(shape: tuple[int, ...], content: bytes = b"", descr: str = "<f4") -> bytes:
    stream = io.BytesIO()
    header: Any = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + content


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3), np.array(3), np.zeros((0, 2)), np.array(["a", "bc"])]
)
def test_arrays_come_back(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(read_array(tmp_path / "a.npy", RULE), array)
    np.savez_compressed(tmp_path / "a.npz", one=array, two=array)
    found = read_arrays(tmp_path / "a.npz")
    assert list(found) == ["one", "two"]
    np.testing.assert_array_equal(found["two"], array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            npy((50_000, 50_000)),
            r"tells of 50000 x 50000 numbers .* need 10000000000 bytes.* has 0",
        ),
        (npy((2**40, 2**40), bytes(8)), "is truncated"),
        (npy((-1, 3), bytes(99)), "is truncated"),
        (npy((3,), bytes(24), "|O"), "Python's objects, which can run code"),
        (b"", "must be an array: "),
        (b"\x93NUMPY\x01\x00\x0a\x00{'descr': (", "must be an array: "),
        (b"text", "must be an array: "),
    ],
)
def test_what_is_no_array(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_array(path, RULE)
    assert str(path) in str(caught.value)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("one.npy", content)
    with pytest.raises(InputError, match=r"a\.npz cannot be read: .*; delete it"):
        read_arrays(tmp_path / "a.npz", hint="delete it")
