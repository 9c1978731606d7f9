"""CT series as people have them: scouts, copies, padding, scales, frames in one file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from wsreg.errors import InputError
from wsreg.volumes.dicom_series import read_dicom_series

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
AFFINE = np.array([[0.8, 0, 0, -12], [0, 0.9, 0, 7], [0, 0, 2, -40], [0, 0, 0, 1.0]])


def body(depth: int = 12) -> NDArray[np.int16]:
    """[depth,9,11] air around tissue that changes slowly from slice to slice."""
    z, y, x = np.mgrid[:depth, :9, :11]
    tissue = 40 + 5 * x - 3 * y + z
    inside = (x - 5) ** 2 + (y - 4) ** 2 <= 16
    return np.where(inside, tissue, -1000).astype(np.int16)


def item(**fields: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def base(stored: NDArray[Any], storage: str = CT, **fields: Any) -> Dataset:
    dataset = item(
        SOPClassUID=storage, SOPInstanceUID=pydicom.uid.generate_uid(), Modality="CT",
        SeriesInstanceUID="1.2.3.4", PatientName="Secret^Name", SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2", Rows=stored.shape[-2], Columns=stored.shape[-1],
        BitsAllocated=16, BitsStored=16, HighBit=15, PixelRepresentation=0,
        PixelData=stored.astype("<u2").tobytes(),
    )  # fmt: skip
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = storage
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def slices(hu: NDArray[np.int16], affine: NDArray[np.float64] = AFFINE) -> list[Dataset]:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    axes = affine[:3, :2].T / spacing[:2, None]
    return [
        base(
            plane.astype(int) + 1024,
            ImagePositionPatient=(affine[:3, 3] + k * affine[:3, 2]).round(6).tolist(),
            ImageOrientationPatient=axes.ravel().round(9).tolist(),
            PixelSpacing=[spacing[1], spacing[0]],
            RescaleSlope=1,
            RescaleIntercept=-1024,
        )
        for k, plane in enumerate(hu)
    ]


def save(datasets: list[Dataset], folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)
    return folder


def enhanced(
    hu: NDArray[np.int16], order: NDArray[np.intp], stacks: Callable[[int], str] = lambda k: "1"
) -> Dataset:
    dataset = base(hu[order].astype(int) + 1000, ENHANCED_CT, NumberOfFrames=len(hu))
    dataset.SharedFunctionalGroupsSequence = Sequence([item(
        PixelMeasuresSequence=Sequence([item(PixelSpacing=[0.9, 0.8])]),
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]),
    )])  # fmt: skip
    dataset.PerFrameFunctionalGroupsSequence = Sequence([
        item(
            PlanePositionSequence=Sequence([item(ImagePositionPatient=[-12, 7, -40 + 2 * int(k)])]),
            FrameContentSequence=Sequence([item(StackID=stacks(int(k)))]),
            PixelValueTransformationSequence=Sequence(
                [item(RescaleSlope=1, RescaleIntercept=-1000)]
            ),
        )
        for k in order
    ])  # fmt: skip
    return dataset


def test_frames_of_one_file_in_any_order(tmp_path: Path) -> None:
    hu = body()
    order = np.random.default_rng(4).permutation(len(hu))
    folder = save([enhanced(hu, order)], tmp_path / "ct")
    for path in (folder, folder / "000.dcm"):
        image = read_dicom_series(path)
        np.testing.assert_array_equal(image.voxels, hu)
        np.testing.assert_allclose(image.ct_from_voxel, AFFINE)
        assert image.notes == ()


def test_stacks_in_one_file(tmp_path: Path) -> None:
    hu = body()
    few = enhanced(hu, np.arange(12), lambda k: "A" if k < 9 else "B")
    image = read_dicom_series(save([few], tmp_path / "few"))
    assert image.voxels.shape == (9, 9, 11)
    assert "belong to another stack: frame 9 of 000.dcm" in image.notes[0]
    half = enhanced(hu, np.arange(12), lambda k: "A" if k < 6 else "B")
    with pytest.raises(InputError, match=r"2 stacks .* 6 slices of 9x11 .*split the file"):
        read_dicom_series(save([half], tmp_path / "half"))


def test_two_phases_in_one_file(tmp_path: Path) -> None:
    twice = np.concatenate([body(5), body(5) + 7])
    dataset = enhanced(twice, np.arange(10))
    for k, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        group.PlanePositionSequence[0].ImagePositionPatient = [-12, 7, 2 * (k % 5)]
    names = r"frame 0 of 000\.dcm and frame 5 of 000\.dcm"
    with pytest.raises(InputError, match=rf"one slice for each position.*{names}"):
        read_dicom_series(save([dataset], tmp_path / "ct"))


def test_a_frame_that_lies_nowhere(tmp_path: Path) -> None:
    dataset = enhanced(body(), np.arange(12))
    del dataset.PerFrameFunctionalGroupsSequence[4].PlanePositionSequence
    with pytest.raises(InputError, match=r"frame 4 of 000\.dcm must have 3 .*ImagePositionPatient"):
        read_dicom_series(save([dataset], tmp_path / "ct"))


@pytest.mark.parametrize(
    "axes", [[1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]], ids=["frontal", "lateral"]
)
def test_scouts_in_the_series_are_left_out(tmp_path: Path, axes: list[int]) -> None:
    scouts = slices(body(2))
    for scout in scouts:
        scout.ImageOrientationPatient = axes
    capture = base(np.zeros((20, 30)), "1.2.840.10008.5.1.4.1.1.7")
    folder = save([*scouts, *slices(body()), capture], tmp_path / "ct")
    image = read_dicom_series(folder)
    np.testing.assert_array_equal(image.voxels, body())
    assert "do not lie anywhere (screen captures?): 014.dcm" in image.notes[0]
    assert "left out 2 that have another orientation: 000.dcm, 001.dcm" in image.notes[1]
    assert "Secret" not in " ".join(image.notes)


def test_of_two_like_stacks_a_file_chooses(tmp_path: Path) -> None:
    coronal = AFFINE[:, [0, 2, 1, 3]]
    folder = save([*slices(body(12)), *slices(body(9), coronal)], tmp_path / "ct")
    with pytest.raises(InputError, match=r"2 stacks.*12 slices.*9 slices.*giving a file of it"):
        read_dicom_series(folder)
    assert read_dicom_series(folder / "000.dcm").voxels.shape == (12, 9, 11)
    image = read_dicom_series(folder / "015.dcm")
    np.testing.assert_array_equal(image.voxels, body(9)[::-1])
    assert "left out 12" in image.notes[0]


def test_equal_copies_drop_out(tmp_path: Path) -> None:
    folder = save(slices(body()), tmp_path / "ct")
    for number in (3, 7):
        shutil.copy(folder / f"{number:03d}.dcm", folder / f"copy of {number}.dcm")
    image = read_dicom_series(folder)
    np.testing.assert_array_equal(image.voxels, body())
    names = "copy of 3.dcm (of 003.dcm), copy of 7.dcm (of 007.dcm)"
    assert image.notes == (f"Left out 2 equal copies of slices: {names}.",)


@pytest.mark.parametrize(
    ("value", "limit", "signed"),
    [(63536, None, 0), (63536, None, 1), (-2000, None, 1), (60000, 63600, 0)],
)
def test_declared_padding_is_air(
    tmp_path: Path, value: int, limit: int | None, signed: int
) -> None:
    hu = body()
    datasets = slices(hu)
    for dataset in datasets:
        stored = np.frombuffer(dataset.PixelData, "<u2").reshape(9, 11).copy()
        stored[:2], stored[:, -1] = 63536, 63536
        dataset.PixelData, dataset.PixelRepresentation = stored.tobytes(), signed
        dataset.add_new("PixelPaddingValue", "SS" if value < 0 else "US", value)
        if limit is not None:
            dataset.add_new("PixelPaddingRangeLimit", "US", limit)
    expected = hu.copy()
    expected[:, :2], expected[:, :, -1] = -1000, -1000
    image = read_dicom_series(save(datasets, tmp_path / "ct"))
    np.testing.assert_array_equal(image.voxels, expected)
    assert image.notes[0].startswith("29.3% of the voxels are declared padding")


def test_padding_within_the_body_is_not_believed(tmp_path: Path) -> None:
    datasets = slices(body())
    for dataset in datasets:
        dataset.add_new("PixelPaddingValue", "US", 1024 + 60)
    image = read_dicom_series(save(datasets, tmp_path / "ct"))
    np.testing.assert_array_equal(image.voxels, body())
    assert "ignored PixelPaddingValue, it is 60 HU" in image.notes[0]


def test_truncated_slices_are_all_named(tmp_path: Path) -> None:
    datasets = slices(body())
    for number in (2, 9):
        datasets[number].PixelData = datasets[number].PixelData[:100]
    folder = save(datasets, tmp_path / "ct")
    message = r"2 truncated slices: 002\.dcm \(100 of 198 bytes of pixels\), 009\.dcm \(100 of 198"
    with pytest.raises(InputError, match=message):
        read_dicom_series(folder)


@pytest.mark.parametrize("tag", ["RescaleSlope", "RescaleIntercept"])
@pytest.mark.parametrize("value", [None, "", "malformed"])
def test_slices_without_the_scale_of_the_others(
    tmp_path: Path, tag: str, value: str | None
) -> None:
    datasets = slices(body())
    for number in (0, 4):
        if value is None:
            delattr(datasets[number], tag)
        else:
            datasets[number][tag]._value = value
            datasets[number][tag].VR = "LO"
    folder = save(datasets, tmp_path / "ct")
    with pytest.raises(InputError, match=rf"2 have no valid {tag}: 000\.dcm, 004\.dcm"):
        read_dicom_series(folder)


def test_a_scale_that_all_lack_is_none(tmp_path: Path) -> None:
    datasets = slices(body())
    for dataset in datasets:
        del dataset.RescaleSlope, dataset.RescaleIntercept
    image = read_dicom_series(save(datasets, tmp_path / "ct"))
    np.testing.assert_array_equal(image.voxels, body() + 1024)


def test_a_wrong_intercept_among_right_ones_is_refused(tmp_path: Path) -> None:
    datasets = slices(body())
    datasets[5].RescaleIntercept = 0
    folder = save(datasets, tmp_path / "ct")
    with pytest.raises(InputError, match=r"005\.dcm has RescaleSlope 1 and RescaleIntercept 0, "):
        read_dicom_series(folder)


def test_a_scale_of_its_own_that_fits_is_applied(tmp_path: Path) -> None:
    """Slice 5 is stored with another offset, and every slice may have a slope of its own."""
    hu = body()
    datasets = slices(hu)
    datasets[5].RescaleIntercept = -1000
    datasets[5].PixelData = (hu[5].astype(int) + 1000).astype("<u2").tobytes()
    image = read_dicom_series(save(datasets, tmp_path / "one"))
    np.testing.assert_array_equal(image.voxels, hu)
    assert image.notes == ("Slices are scaled one by one, by 2 different scales.",)
    for k, dataset in enumerate(datasets):
        slope = 0.25 * (k + 1)
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, -1024
        dataset.PixelData = np.round((hu[k] + 1024.0) / slope).astype("<u2").tobytes()
    image = read_dicom_series(save(datasets, tmp_path / "all"))
    assert np.abs(image.voxels - hu).max() <= 0.125 * len(hu)
    assert image.voxels.dtype == np.float32


@pytest.mark.parametrize("tag", ["ImagePositionPatient", "PixelSpacing", "ImageOrientationPatient"])
def test_a_tag_that_all_lack_is_named_with_their_number(tmp_path: Path, tag: str) -> None:
    datasets = slices(body())
    for dataset in datasets:
        delattr(dataset, tag)
    with pytest.raises(InputError, match=f"but 12 CT slices lack {tag}$"):
        read_dicom_series(save(datasets, tmp_path / "ct"))


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        ("PixelSpacing", [0, 1], "must have positive Rows, Columns and PixelSpacing"),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], "unit vectors at right angles"),
        ("ImageOrientationPatient", [2, 0, 0, 0, 1, 0], "unit vectors at right angles"),
        ("ImagePositionPatient", [1, 2], "3 numbers in the DICOM tag ImagePositionPatient"),
    ],
)
def test_geometry_that_cannot_be(tmp_path: Path, tag: str, value: Any, message: str) -> None:
    datasets = slices(body())
    setattr(datasets[3], tag, value)
    with pytest.raises(InputError, match=rf"003\.dcm .*{message}"):
        read_dicom_series(save(datasets, tmp_path / "ct"))


def test_files_of_other_kinds_do_not_stop_a_series(tmp_path: Path) -> None:
    folder = save(slices(body()), tmp_path / "ct")
    other = base(np.zeros((4, 4)), "1.2.840.10008.5.1.4.1.1.7")
    del other.Modality, other.SeriesInstanceUID
    other.save_as(folder / "other.dcm", enforce_file_format=True)
    report = base(np.zeros((4, 4)), "1.2.840.10008.5.1.4.1.1.66")
    del report.Rows, report.Columns, report.PixelData
    report.save_as(folder / "raw-data.dcm", enforce_file_format=True)
    (folder / "broken").write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL")
    (folder / "notes.txt").write_text("notes")
    for path in (folder, folder / "000.dcm"):
        np.testing.assert_array_equal(read_dicom_series(path).voxels, body())


def test_files_without_preamble(tmp_path: Path) -> None:
    folder = save(slices(body()), tmp_path / "ct")
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[132:])
    np.testing.assert_array_equal(read_dicom_series(folder).voxels, body())
    assert read_dicom_series(folder / "003.dcm").voxels.shape == (12, 9, 11)


@pytest.mark.parametrize(
    ("wrong", "slope", "intercept", "odd"),
    [
        (range(7, 14), 1, 0, "006.dcm|007.dcm"),  # half of them
        (range(1, 14, 2), 3, -1024, r"0\d\d.dcm"),  # every second one
        (range(4, 14, 3), 1, -512, r"004.dcm"),
        (range(14), None, None, "000.dcm"),  # each its own
    ],
)
def test_scales_that_make_neighbours_unlike(
    wrong: range, slope: float, intercept: float, odd: str, tmp_path: Path
) -> None:
    series = slices(body(14))
    for index in wrong:
        series[index].RescaleSlope = slope or 1 + 0.5 * index
        series[index].RescaleIntercept = -1024 if intercept is None else intercept
    with pytest.raises(InputError, match=rf"({odd}) has RescaleSlope .* beside it .* fit better"):
        read_dicom_series(save(series, tmp_path / "ct"))


def test_scales_of_each_slice_that_fit(tmp_path: Path) -> None:
    hu = body(14)
    series = slices(hu)
    for index, dataset in enumerate(series):  # as in emission tomography: the finest that fits
        slope, intercept = (1.0, 0.5, 0.25)[index % 3], (-1024, -1000)[index // 7]
        dataset.PixelData = ((hu[index] - intercept) / slope).astype("<u2").tobytes()
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    image = read_dicom_series(save(series, tmp_path / "ct"))
    np.testing.assert_array_equal(image.voxels, hu)
    assert image.notes == ("Slices are scaled one by one, by 6 different scales.",)


@pytest.mark.parametrize("later", [6, 8])
def test_stacks_of_similar_size_in_one_given_file(later: int, tmp_path: Path) -> None:
    hu = body(14)
    order = np.arange(14)
    dataset = enhanced(hu, order, lambda k: "low" if k < later else "high")
    folder = save([dataset], tmp_path / "ct")
    with pytest.raises(InputError, match=r"2 stacks of slices in one series, 8 .* and 6 "):
        read_dicom_series(folder / "000.dcm")


def test_a_small_stack_in_a_given_file_is_left_out(tmp_path: Path) -> None:
    hu = body(14)
    dataset = enhanced(hu, np.arange(14)[::-1], lambda k: "low" if k < 11 else "high")
    image = read_dicom_series(save([dataset], tmp_path / "ct") / "000.dcm")
    np.testing.assert_array_equal(image.voxels, hu[:11])
    (note,) = image.notes
    assert "left out 3 that belong to another stack" in note


def test_a_part_of_a_concatenation_tells_of_the_others(tmp_path: Path) -> None:
    hu = body(15)
    folder = tmp_path / "ct"
    parts = []
    for number in range(3):
        part = enhanced(hu[:5], np.arange(5))
        for frame, group in enumerate(part.PerFrameFunctionalGroupsSequence):
            height = float(-40 + 2 * (5 * number + frame))
            group.PlanePositionSequence[0].ImagePositionPatient = [-12, 7, height]
        part.PixelData = (
            (hu[5 * number : 5 * number + 5].astype(int) + 1000).astype("<u2").tobytes()
        )
        parts.append(part)
    save(parts, folder)
    np.testing.assert_array_equal(read_dicom_series(folder).voxels, hu)
    image = read_dicom_series(folder / "001.dcm")
    np.testing.assert_array_equal(image.voxels, hu[5:10])
    (note,) = image.notes
    assert note.startswith("Warning: only the frames of 001.dcm were read")
    assert "2 more files of the same series: 000.dcm, 002.dcm" in note


def test_a_series_stored_twice_with_rounded_positions(tmp_path: Path) -> None:
    series = slices(body())
    for dataset in slices(body()):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, float(z) + 0.007]
        series.append(dataset)
    said = r"one slice for each position, .* 0\.007 and 2 mm apart, .*almost at one place"
    with pytest.raises(InputError, match=said):
        read_dicom_series(save(series, tmp_path / "ct"))
