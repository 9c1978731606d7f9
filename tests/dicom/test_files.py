from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from wsreg.dicom.files import is_dicom, listed, quietly, read_dataset
from wsreg.errors import InputError


def small_dataset(syntax: str) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = "1.2.3"
    dataset.Modality = "CT"
    dataset.Rows, dataset.Columns = 2, 3
    dataset.BitsAllocated = 16
    dataset.PixelData = struct.pack("<6H" if syntax != ExplicitVRBigEndian else ">6H", *range(6))
    return dataset


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_files_without_preamble_and_without_meta(tmp_path: Path, syntax: str) -> None:
    """What pydicom writes of the bare elements is told and read, whatever its name."""
    path = tmp_path / "IM0001.txt"
    small_dataset(syntax).save_as(
        path,
        enforce_file_format=False,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    assert path.read_bytes()[:2] in (b"\x08\x00", b"\x00\x08")
    assert is_dicom(path)
    dataset = read_dataset(path)
    assert (dataset.Rows, dataset.Columns) == (2, 3)
    assert dataset.file_meta.TransferSyntaxUID == syntax


def test_meta_without_a_preamble(tmp_path: Path) -> None:
    path = tmp_path / "x"
    dataset = small_dataset(ExplicitVRLittleEndian)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    assert is_dicom(path)
    path.write_bytes(path.read_bytes()[132:])
    assert is_dicom(path)
    assert read_dataset(path).Modality == "CT"


def test_what_is_no_dicom(tmp_path: Path) -> None:
    values = np.arange(600, dtype=np.uint16).reshape(20, 30) % 9
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values).save(tmp_path / "a.tif")
    Image.fromarray(values.astype(np.uint8)).save(tmp_path / "a.jpg")
    np.save(tmp_path / "a.npy", values)
    (tmp_path / "a.raw").write_bytes(np.full(4000, 8, np.uint16).tobytes())
    (tmp_path / "b.raw").write_bytes(np.arange(2, 4000, dtype=np.uint16).tobytes())
    (tmp_path / "a.txt").write_text("DICM, but in the wrong place\n" * 30)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "short").write_bytes(b"\x08\x00\x05\x00")
    (tmp_path / "folder").mkdir()
    assert [path.name for path in sorted(tmp_path.iterdir()) if is_dicom(path)] == []
    assert not is_dicom(tmp_path / "missing")
    with pytest.raises(InputError, match=r"a\.txt is not a DICOM file"):
        read_dataset(tmp_path / "a.txt")


def test_reading_is_quiet_about_bad_values(tmp_path: Path) -> None:
    """Warnings are errors here, and pydicom warns of such a character set."""
    dataset = small_dataset(ExplicitVRLittleEndian)
    tag = pydicom.tag.Tag("SpecificCharacterSet")
    dataset[tag] = pydicom.dataelem.RawDataElement(tag, "CS", 4, b"ABC ", 0, False, True)
    path = tmp_path / "x"
    with quietly():
        dataset.save_as(path, implicit_vr=False, little_endian=True)
    assert read_dataset(path, ["Rows", "Modality"]).Modality == "CT"


def test_listed() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
