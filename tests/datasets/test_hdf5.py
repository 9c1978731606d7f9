"""HDF5: what a file says of others, or of more than it holds, is not followed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from wsreg.datasets import hdf5
from wsreg.errors import InputError


def _external(file: Any) -> None:
    file["a/x"] = h5py.ExternalLink("other.h5", "/x")


def _through(file: Any) -> None:
    file["other"] = h5py.ExternalLink("other.h5", "/")
    file["a/x"] = h5py.SoftLink("/other/x")


def _circle(file: Any) -> None:
    file["a/x"] = h5py.SoftLink("y")
    file["a/y"] = h5py.SoftLink("x")


def _storage(file: Any) -> None:
    file["a"].create_dataset("x", (4,), "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file["a"].create_virtual_dataset("x", layout)


def _huge(file: Any) -> None:
    file["a"].create_dataset("x", (1 << 40,), "f4")


def _huge_pieces(file: Any) -> None:
    file["a"].create_dataset("x", (4,), "f4", maxshape=(None,), chunks=(1 << 29,))


@pytest.mark.parametrize(
    ("put", "message"),
    [
        (_external, r"/a must hold x itself, it is a link to another file"),
        (_through, r"/a must hold x itself, it is a link to another file"),
        (_circle, r"/a must hold x itself, .* in circles"),
        (_storage, r"/a/x must be in this file"),
        (_virtual, r"/a/x must be in this file"),
        (_huge, r"/a/x tells of 1099511627776 values of float32, of which the file stores 0"),
        (_huge_pieces, r"/a/x tells of 4 values of float32 in pieces of 536870912, of which"),
    ],
)
def test_what_is_not_in_the_file(tmp_path: Path, put: Callable[[Any], None], message: str) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(4, np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("a")
        put(file)
    with (
        hdf5.open_for_reading(tmp_path / "a.h5") as file,
        pytest.raises(InputError, match=rf"^data set a\.h5 {message}"),
    ):
        hdf5.array(file["a"], "x", None)


def test_names_that_are_no_text_are_one_sentence(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[b"caf\xe9"] = np.zeros(3)
    with (
        hdf5.open_for_reading(tmp_path / "a.h5") as file,
        pytest.raises(InputError, match=r"a\.h5 must hold names in UTF-8, got b'caf"),
    ):
        hdf5.names(file)


def test_links_within_the_file_are_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/deep/x"] = np.arange(3)
        file["b"] = h5py.SoftLink("/a/./deep")
        file["c"] = h5py.SoftLink("b")
        file["t"] = np.dtype("f4")
    with hdf5.open_for_reading(tmp_path / "a.h5") as file:
        assert hdf5.array(file, "c/x", 3).tolist() == [0, 1, 2]
        assert hdf5.has(file, "c")
        assert not hdf5.has(file, "a/nothing")
        assert not hdf5.has(file, "a/deep/x/more")
        assert not hdf5.has(file, "t")
        assert hdf5.names(hdf5.group(file, "b")) == ("x",)
