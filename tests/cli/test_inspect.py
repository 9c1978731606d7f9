from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage

from wsreg.cli.main import main


def inspect(*words: object) -> int:
    return main(["inspect", *map(str, words)])


@pytest.fixture
def angiogram(tmp_path: Path) -> Path:
    """An XA file with a patient's name, C-arm angles, a distance, and no pixel spacing."""
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = XRayAngiographicImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    header.SOPClassUID, header.SOPInstanceUID = XRayAngiographicImageStorage, "1.2.3"
    header.Modality, header.PatientName, header.PatientID = "XA", "Doe^Jane", "ID-4711"
    header.PositionerPrimaryAngle, header.PositionerSecondaryAngle = 30.0, -12.5
    header.DistanceSourceToDetector = 1050.0
    header.Rows, header.Columns = 48, 64
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, 0
    row, column = np.mgrid[:48, :64]
    values = 4000 - 3000 * np.exp(-((row - 24) ** 2 + (column - 32) ** 2) / 200)
    header.PixelData = values.astype(np.uint16).tobytes()
    path = tmp_path / "run.dcm"
    header.save_as(path, enforce_file_format=True)
    return path


def test_says_what_a_ct_is(case: Any, capsys: pytest.CaptureFixture[str]) -> None:
    labels = ("--labels", case.labels, "--label-names", case.label_names)
    assert inspect("--ct", case.ct, *labels) == 0
    said = capsys.readouterr().out
    assert "160 x 120 x 160 voxels" in said
    assert "2 x 2 x 2 mm" in said
    assert "320 x 240 x 320 mm" in said
    assert "x, y, z run to L, P, S\n" in said
    assert "-1000 to 1100 HU" in said
    assert "1 vertebrae_L5" in said


def test_says_what_an_x_ray_is_and_what_it_lacks(
    angiogram: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(angiogram) == 0
    said = capsys.readouterr().out
    assert "48 rows x 64 columns" in said
    assert "primary 30.0, secondary -12.5 deg" in said
    assert "geometry     missing" in said
    assert "it lacks pixel_spacing_mm" in said
    for private in ("Doe", "Jane", "4711"):
        assert private not in said


def test_flags_fill_what_the_header_lacks_and_win_only_when_told(
    angiogram: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--sdd", 999, "--pixel-spacing", 0.5, 0.25, "--principal-point", 30, 20)
    assert inspect(angiogram, *flags) == 0
    said = capsys.readouterr().out
    assert "source to detector 1050 mm, pixels 0.5 x 0.25 mm" in said
    assert "column 30, row 20" in said
    assert "Kept source_to_detector_mm 1050.0 from the header" in said
    assert inspect(angiogram, *flags, "--override-header") == 0
    assert "source to detector 999 mm" in capsys.readouterr().out


def test_picture_shows_the_x_ray_beside_views_of_the_ct(case: Any, tmp_path: Path) -> None:
    alone, both = tmp_path / "alone.png", tmp_path / "both.png"
    assert inspect(case.xray, "--quiet", "--out", alone) == 0
    assert inspect(case.xray, "--ct", case.ct, "--quiet", "--out", both) == 0
    with Image.open(alone) as one, Image.open(both) as four:
        assert four.width > 3 * one.width


def test_quiet_prints_nothing(case: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(case.xray, "--ct", case.ct, "--quiet") == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_needs_something_to_inspect_and_one_x_ray_for_a_picture(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect() == 2
    assert inspect(case.xray, case.xray, "--out", tmp_path / "a.png") == 2
    assert inspect(case.xray, "--out", tmp_path / "a.jpg") == 2
    assert capsys.readouterr().err.count("wsreg: error: ") == 3
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_is_complete_lacks_something_or_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, broken = tmp_path / "small.h5", tmp_path / "broken.h5"
    with h5py.File(path, "w") as file:
        file["land-names/num-lands"], file["land-names/land-00"] = 1, "FH-l"
        file["01/projs"] = np.arange(24.0).reshape(2, 3, 4)
        file["01/segs"] = np.zeros((2, 3, 4), dtype=np.uint8)
        file["01/lands"] = np.zeros((2, 2, 1))
    assert inspect(path) == 0
    said = capsys.readouterr().out
    assert "preprocessed" in said
    assert "2 projections" in said
    with h5py.File(path, "r+") as file:
        del file["01/segs"]
    assert inspect(path) == 1
    assert "must have the dataset 01/segs, which is missing" in capsys.readouterr().out
    broken.write_bytes(path.read_bytes()[:1000])
    assert inspect(broken) == 2
    assert inspect(tmp_path / "none.h5") == 2
    assert inspect(path, broken) == 2
    said = capsys.readouterr().err
    assert said.count("wsreg: error: ") == 3
    assert "truncated" in said


def test_a_ct_alone_is_described_and_drawn(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "look.png"
    assert inspect("--ct", case.ct, "--out", out) == 0
    assert "orientation" in capsys.readouterr().out
    with Image.open(out) as picture:
        across, down = picture.size
    assert 2.5 < across / down < 3.0  # three square views side by side, under their titles
    assert inspect("--out", out) == 2
    assert "needs an X-ray or a CT (--ct), got neither" in capsys.readouterr().err
