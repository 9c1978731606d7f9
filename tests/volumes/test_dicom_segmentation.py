from __future__ import annotations

from collections.abc import Mapping
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
from wsreg.volumes.dicom_segmentation import is_segmentation, read_segmentation
from wsreg.volumes.labels import read_labels
from wsreg.volumes.voxel_image import VoxelImage

NAMES = {1: "Left hip", 2: "Sacrum", 5: "Right femur"}
SHAPE = (6, 5, 7)
AFFINE = np.array([[0.8, 0, 0, -12], [0, 0.9, 0, 7], [0, 0, 2, -40], [0, 0, 0, 1.0]])


def item(**fields: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def boxes() -> dict[int, NDArray[np.bool_]]:
    masks = {number: np.zeros(SHAPE, bool) for number in NAMES}
    masks[1][1:4, 1:3, 1:5] = True
    masks[2][2:6, 3:5, 0:6] = True
    masks[5][5, 0, 0] = True
    return masks


def write(
    path: Path, masks: Mapping[int, NDArray[np.bool_]], *, fractional: bool = False, seed: int = 0
) -> Path:
    """One frame for each plane of a segment that is not empty, in any order."""
    places = [(n, k) for n, mask in masks.items() for k in range(len(mask)) if mask[k].any()]
    places = [places[i] for i in np.random.default_rng(seed).permutation(len(places))]
    planes = np.stack([masks[n][k] for n, k in places]).astype(np.uint8)
    dataset = item(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", SOPInstanceUID="1.2.3", Modality="SEG",
        PatientName="Secret^Name", SegmentationType="FRACTIONAL" if fractional else "BINARY",
        Rows=SHAPE[1], Columns=SHAPE[2], NumberOfFrames=len(places), SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2", PixelRepresentation=0,
        BitsAllocated=8 if fractional else 1, BitsStored=8 if fractional else 1,
        HighBit=7 if fractional else 0,
    )  # fmt: skip
    if fractional:
        dataset.MaximumFractionalValue = 200
        dataset.PixelData = np.where(planes, 100, 99).astype(np.uint8).tobytes()
    else:
        dataset.PixelData = np.packbits(planes.ravel(), bitorder="little").tobytes()
    if len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"
    dataset.SegmentSequence = Sequence(
        [item(SegmentNumber=n, SegmentLabel=name) for n, name in NAMES.items()]
    )
    dataset.SharedFunctionalGroupsSequence = Sequence([item(
        PixelMeasuresSequence=Sequence([item(PixelSpacing=[0.9, 0.8], SliceThickness=2)]),
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]),
    )])  # fmt: skip
    dataset.PerFrameFunctionalGroupsSequence = Sequence([item(
        PlanePositionSequence=Sequence([item(ImagePositionPatient=[-12, 7, -40 + 2 * k])]),
        SegmentIdentificationSequence=Sequence([item(ReferencedSegmentNumber=n)]),
    ) for n, k in places])  # fmt: skip
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def expected() -> NDArray[np.int16]:
    labels = np.zeros(SHAPE, np.int16)
    for number, mask in boxes().items():
        labels[mask] = number
    return labels


@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_segments_on_the_planes_that_they_have(tmp_path: Path, fractional: bool, seed: int) -> None:
    """The first plane has no segment, so the grid begins at the second."""
    path = write(tmp_path / "seg", boxes(), fractional=fractional, seed=seed)
    assert is_segmentation(path)
    image, names = read_segmentation(path)
    np.testing.assert_array_equal(image.voxels, expected()[1:])
    np.testing.assert_allclose(image.ct_from_voxel[:3, 3], AFFINE[:3] @ (0, 0, 1, 1))
    np.testing.assert_allclose(image.ct_from_voxel[:3, :3], AFFINE[:3, :3])
    assert names == NAMES
    assert image.notes == ()


def test_planes_without_a_segment_between_others(tmp_path: Path) -> None:
    masks = boxes()
    for mask in masks.values():
        mask[3] = False
    image, _ = read_segmentation(write(tmp_path / "seg", masks))
    assert image.voxels.shape == (5, *SHAPE[1:])
    assert not image.voxels[2].any()
    assert image.voxels[4, 0, 0] == 5


def test_a_few_shared_voxels_go_to_the_later_segment(tmp_path: Path) -> None:
    masks = boxes()
    masks[2][2, 2, 1:4] = True
    image, _ = read_segmentation(write(tmp_path / "seg", masks))
    assert image.notes == (
        "Segments Left hip and Sacrum share 3 voxels, which went to the latter.",
    )
    assert (image.voxels[1, 2, 1:4] == 2).all()


def test_segments_that_overlap_are_refused_by_name(tmp_path: Path) -> None:
    masks = boxes()
    masks[2][1:4, 1:3, 1:5] = True
    with pytest.raises(InputError, match="Left hip and Sacrum share 24 voxels"):
        read_segmentation(write(tmp_path / "seg", masks))


def test_as_labels_of_a_ct_on_a_larger_grid(tmp_path: Path) -> None:
    ct = VoxelImage(np.zeros((9, 8, 10)), AFFINE @ np.array(
        [[1, 0, 0, -2], [0, 1, 0, -1], [0, 0, 1, -2], [0, 0, 0, 1.0]]
    ))  # fmt: skip
    labels = read_labels(write(tmp_path / "seg.dcm", boxes()), ct).values
    np.testing.assert_array_equal(np.asarray(labels)[2:8, 1:6, 2:9], expected())
    assert np.count_nonzero(labels) == np.count_nonzero(expected())


def test_what_is_no_segmentation(tmp_path: Path) -> None:
    path = write(tmp_path / "seg", boxes())
    dataset = pydicom.dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"where it lies .* frame 2 does not"):
        read_segmentation(path)
    dataset.Modality = "CT"
    dataset.save_as(path)
    assert not is_segmentation(path)
    with pytest.raises(InputError, match=r"must be a DICOM segmentation \(SEG\).*modality is CT"):
        read_segmentation(path)


def test_a_folder_with_a_segmentation_tells_to_give_the_file(tmp_path: Path) -> None:
    write(tmp_path / "bones.dcm", boxes())
    ct = VoxelImage(np.zeros((9, 8, 10)), AFFINE)
    with pytest.raises(InputError, match=r"DICOM files instead: bones\.dcm \(.* give the file"):
        read_labels(tmp_path, ct)
