from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    generate_uid,
)

from wsreg.dicom.files import is_dicom
from wsreg.errors import InputError
from wsreg.volumes.dicom_series import read_dicom_series
from wsreg.volumes.reading import read_volume

ROW_SPACING, COLUMN_SPACING, GAP = 0.9, 0.7, 2.5
INTERCEPT = -1024
SERIES = generate_uid(entropy_srcs=["one"])


def _write_slice(
    file: Path,
    stored: NDArray[np.integer],
    position: Sequence[float] | NDArray[np.float64],
    axes: NDArray[np.float64],
    *,
    series: str = SERIES,
    **tags: object,
) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(file)])
    header = FileDataset(str(file), {}, file_meta=meta, preamble=bytes(128))
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    header.SeriesInstanceUID = series
    header.Modality = "CT"
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.ImagePositionPatient = [f"{v:.9g}" for v in position]
    header.ImageOrientationPatient = [f"{v:.9g}" for v in np.ravel(axes)]
    header.PixelSpacing = [ROW_SPACING, COLUMN_SPACING]
    header.Rows, header.Columns = stored.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.PixelRepresentation = 0
    header.RescaleSlope, header.RescaleIntercept = 1, INTERCEPT
    header.PixelData = stored.astype("<u2").tobytes()
    for name, value in tags.items():
        if value is None:
            delattr(header, name)
        else:
            setattr(header, name, value)
    header.save_as(file, enforce_file_format=True)


def _write_series(
    folder: Path,
    voxels: NDArray[np.int16],
    affine: NDArray[np.float64],
    *,
    series: str = SERIES,
    skip: Collection[int] = (),
    **tags: object,
) -> Path:
    """One file a slice, with names in an order that is not that of the slices."""
    folder.mkdir(exist_ok=True)
    axes = affine[:3, :2].T / np.linalg.norm(affine[:3, :2], axis=0)[:, None]
    names = np.random.default_rng(1).permutation(len(voxels))
    for k, plane in enumerate(voxels):
        if k not in skip:
            position = affine[:3, 3] + k * affine[:3, 2]
            file = folder / f"{series[-4:]}-{names[k]:03d}"
            _write_slice(file, plane - INTERCEPT, position, axes, series=series, **tags)
    return folder


def _height_mm(file: Path) -> float:
    header = pydicom.dcmread(file)
    row, column = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
    return float(np.cross(row, column) @ np.array(header.ImagePositionPatient, float))


@pytest.fixture
def affine(oblique_affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return oblique_affine


def test_shuffled_oblique_series(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    image = read_dicom_series(_write_series(tmp_path / "s", marked_ct, affine))
    np.testing.assert_array_equal(image.voxels, marked_ct)
    np.testing.assert_allclose(image.ct_from_voxel, affine, atol=1e-5)


def test_a_folder_or_one_of_its_files_is_a_volume(
    tmp_path: Path, marked_ct: NDArray[np.int16], patient_affine: NDArray[np.float64]
) -> None:
    affine = patient_affine
    folder = _write_series(tmp_path / "s", marked_ct, affine, PixelSpacing=[18.0, 14.0])
    for path in (folder, next(folder.iterdir())):
        volume = read_volume(path)
        np.testing.assert_array_equal(volume.hu, marked_ct)
        np.testing.assert_allclose(volume.ct_from_voxel, affine, atol=1e-5)


def test_agrees_with_itk(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    folder = _write_series(tmp_path / "s", marked_ct, affine)
    image = read_dicom_series(folder)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    itk = reader.Execute()
    np.testing.assert_array_equal(image.voxels, SimpleITK.GetArrayFromImage(itk))
    corner = itk.TransformIndexToPhysicalPoint((6, 5, 4))
    np.testing.assert_allclose((image.ct_from_voxel @ (6, 5, 4, 1))[:3], corner, atol=1e-5)


def test_slices_stored_from_head_to_foot_come_out_right_handed(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    affine[:3, 2] *= -1
    image = read_dicom_series(_write_series(tmp_path / "s", marked_ct, affine))
    np.testing.assert_array_equal(image.voxels, marked_ct[::-1])
    expected = affine @ (5, 1, 3, 1)
    np.testing.assert_allclose(image.ct_from_voxel @ (5, 1, 1, 1), expected, atol=1e-5)


def test_tilted_gantry_becomes_a_shear(tmp_path: Path, marked_ct: NDArray[np.int16]) -> None:
    affine = np.diag([COLUMN_SPACING, ROW_SPACING, GAP, 1.0])
    affine[1, 2] = GAP * np.tan(np.deg2rad(15))
    image = read_dicom_series(_write_series(tmp_path / "s", marked_ct, affine))
    np.testing.assert_allclose(image.ct_from_voxel, affine, atol=1e-5)
    np.testing.assert_array_equal(image.voxels, marked_ct)


def test_other_files_are_left_alone(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    folder = _write_series(tmp_path / "s", marked_ct, affine)
    (folder / "README.txt").write_text("notes")
    (folder / "sub").mkdir()
    scout, report = generate_uid(), generate_uid()
    plane, axes = marked_ct[0] - INTERCEPT, np.eye(3)[:2]
    _write_slice(
        folder / "scout", plane, (0, 0, 0), axes, series=scout, ImageType=["ORIGINAL", "LOCALIZER"]
    )
    _write_slice(folder / "dose", plane, (0, 0, 0), axes, series=report, ImagePositionPatient=None)
    _write_slice(folder / "pet", plane, (0, 0, 0), axes, series=report, Modality="PT")
    np.testing.assert_array_equal(read_dicom_series(folder).voxels, marked_ct)


def test_two_series_are_listed_and_one_can_be_chosen(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    other = generate_uid(entropy_srcs=["two"])
    folder = _write_series(tmp_path / "s", marked_ct, affine)
    _write_series(folder, marked_ct[:4], affine, series=other)
    with pytest.raises(InputError, match="2 CT series, choose one with series_uid") as caught:
        read_dicom_series(folder)
    assert f"{SERIES} (5 slices)" in str(caught.value)
    assert f"{other} (4 slices)" in str(caught.value)
    assert len(read_dicom_series(folder, other).voxels) == 4
    a_file = next(folder.glob(f"{other[-4:]}-*"))
    assert is_dicom(a_file)
    assert len(read_dicom_series(a_file).voxels) == 4
    with pytest.raises(InputError, match=r"series_uid must be a CT series of .*got 1\.2\.3"):
        read_dicom_series(folder, "1.2.3")


def test_a_missing_slice_names_the_gap(tmp_path: Path, marked_ct: NDArray[np.int16]) -> None:
    affine = np.diag([COLUMN_SPACING, ROW_SPACING, GAP, 1.0])
    affine[2, 3] = -100.0
    folder = _write_series(tmp_path / "s", marked_ct, affine, skip=(3,))
    with pytest.raises(InputError, match=r"2\.50 mm apart, got 5\.00 mm after .* -95\.00 mm"):
        read_dicom_series(folder)


def test_two_phases_in_one_series(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    folder = _write_series(tmp_path / "s", marked_ct, affine)
    file = next(folder.iterdir())
    twin = pydicom.dcmread(file)
    twin.PixelData = twin.PixelData[2:] + bytes(2)
    twin.save_as(folder / "twin")
    names = rf"two different ones at .* mm, .*{file.name}.*|.*{file.name} .*several phases"
    with pytest.raises(InputError, match=names) as caught:
        read_dicom_series(folder)
    assert "twin" in str(caught.value)


def test_slices_off_the_line(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    folder = _write_series(tmp_path / "s", marked_ct, affine)
    positions = {
        file: np.array(pydicom.dcmread(file).ImagePositionPatient, float)
        for file in folder.iterdir()
    }
    normal = affine[:3, 2] / GAP
    middle = sorted(positions, key=lambda file: positions[file] @ normal)[2]
    header = pydicom.dcmread(middle)
    header.ImagePositionPatient = [
        f"{v:.9g}" for v in positions[middle] + 3.0 * affine[:3, 0] / COLUMN_SPACING
    ]
    header.save_as(middle)
    with pytest.raises(InputError, match=r"one straight line.* 3\.00 mm off"):
        read_dicom_series(folder)


def test_no_ct(tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="CT series, got these DICOM files: none"):
        read_dicom_series(tmp_path / "empty")
    folder = _write_series(tmp_path / "mr", marked_ct, affine, Modality="MR")
    with pytest.raises(InputError, match="got these DICOM files: 5 of MR"):
        read_dicom_series(folder)


def test_one_slice_is_no_volume(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    folder = _write_series(tmp_path / "s", marked_ct[:1], affine)
    with pytest.raises(InputError, match="at least 2 slices"):
        read_dicom_series(folder)


@pytest.mark.parametrize("tag", ["PixelSpacing", "ImageOrientationPatient", "Columns"])
def test_missing_tag(
    tag: str, tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    folder = _write_series(tmp_path / "s", marked_ct, affine)
    file = next(folder.iterdir())
    header = pydicom.dcmread(file)
    delattr(header, tag)
    header.save_as(file)
    with pytest.raises(
        InputError, match=f"{file.name} must have . numbers in the DICOM tag {tag}, got None"
    ):
        read_dicom_series(folder)


def test_unlike_slices(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    folder = _write_series(tmp_path / "s", marked_ct, affine)
    file = sorted(folder.iterdir(), key=_height_mm)[2]
    header = pydicom.dcmread(file)
    header.PixelSpacing = [1, 1]
    header.save_as(file)
    message = rf"missing slices.* left out 1 that have another pixel spacing: {file.name}"
    with pytest.raises(InputError, match=message):
        read_dicom_series(folder)


def test_frames_that_lie_nowhere(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    folder = _write_series(tmp_path / "s", marked_ct, affine, NumberOfFrames=5)
    with pytest.raises(InputError, match="5 frames in one file, but no functional groups"):
        read_dicom_series(folder)


@pytest.mark.parametrize("kept", np.linspace(0.35, 0.99, 33))
def test_a_truncated_slice_is_never_dropped(
    kept: float, tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    affine[:3, :3] = np.diag([COLUMN_SPACING, ROW_SPACING, GAP])
    folder = _write_series(tmp_path / "s", marked_ct, affine)
    last = max(folder.iterdir(), key=lambda file: pydicom.dcmread(file).ImagePositionPatient[2])
    content = last.read_bytes()
    last.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=last.name):
        read_dicom_series(folder)


def test_a_dicomdir_is_left_alone(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    folder = _write_series(tmp_path / "s", marked_ct, affine)
    directory = pydicom.dcmread(next(folder.iterdir()))
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    del directory.Modality, directory.SeriesInstanceUID
    directory.save_as(folder / "DICOMDIR")
    assert len(read_dicom_series(folder).voxels) == 5


def test_slices_without_rows(
    tmp_path: Path, marked_ct: NDArray[np.int16], affine: NDArray[np.float64]
) -> None:
    folder = _write_series(tmp_path / "s", marked_ct, affine)
    files = sorted(folder.iterdir())
    for count, said in ((1, f"{files[0]} must have . numbers in the DICOM tag Rows, got None"),
                        (5, "5 CT slices lack Rows")):  # fmt: skip
        for file in files[:count]:
            header = pydicom.dcmread(file)
            header.pop("Rows", None)
            header.save_as(file)
        for path in (folder, files[0], files[-1]):
            with pytest.raises(InputError, match=said):
                read_dicom_series(path)
