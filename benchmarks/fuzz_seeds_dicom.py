"""Whole DICOM files for the fuzz of readers: CTs, segmentations, X-rays in several compressions."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

import fuzz_seeds as images
from wsreg.geometry.calibration_file import read_camera
from wsreg.radiographs.frame_files import read_frames
from wsreg.radiographs.reading import read_radiograph
from wsreg.volumes.reading import read_volume

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
XA, ENHANCED_XA = "1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.1.1"
SEG, RT_IMAGE = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.481.1"
SLICES = 5
"""Of a series: enough for a stack."""


def item(**fields: Any) -> Dataset:
    """Return a data set with these fields."""
    dataset = Dataset()
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def one(**fields: Any) -> Sequence:
    """Return a sequence of one data set with these fields."""
    return Sequence([item(**fields)])


def object_of(pixels: NDArray[Any], storage: str, **fields: Any) -> Dataset:
    """Return a data set with pixels of 16 bits, of one frame or several."""
    dataset = item(
        SOPClassUID=storage, SOPInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.4",
        SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2",
        Rows=pixels.shape[-2], Columns=pixels.shape[-1], BitsAllocated=16, BitsStored=16,
        HighBit=15, PixelRepresentation=0, PixelData=pixels.astype("<u2").tobytes(),
    )  # fmt: skip
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = storage
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def _origin_and_spacing() -> tuple[NDArray[np.float64], float]:
    affine = images.body().ct_from_voxel.numpy()
    return affine[:3, 3], float(affine[0, 0])


def series(folder: Path) -> None:
    """Write a CT series, a file a slice."""
    origin, mm = _origin_and_spacing()
    for number, plane in enumerate(images.hu()[:SLICES]):
        object_of(
            plane.astype(int) + 1024, CT, Modality="CT", SOPInstanceUID=f"1.2.3.{number + 1}",
            ImagePositionPatient=[*origin[:2].tolist(), float(origin[2] + mm * number)],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[mm, mm],
            RescaleSlope=1, RescaleIntercept=-1024,
        ).save_as(folder / f"{number}.dcm", enforce_file_format=True)  # fmt: skip


def _planes(count: int, **fields: Any) -> dict[str, Any]:
    """Return functional groups of so many planes."""
    origin, mm = _origin_and_spacing()
    return {
        "SharedFunctionalGroupsSequence": one(
            PixelMeasuresSequence=one(PixelSpacing=[mm, mm], SliceThickness=mm),
            PlaneOrientationSequence=one(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
            **fields,
        ),
        "PerFrameFunctionalGroupsSequence": Sequence([
            item(PlanePositionSequence=one(ImagePositionPatient=[
                *origin[:2].tolist(), float(origin[2] + mm * number)
            ]))
            for number in range(count)
        ]),
    }  # fmt: skip


def enhanced_ct(path: Path) -> None:
    """Write a CT in one file of many frames."""
    stored = images.hu()[:SLICES].astype(int) + 1000
    groups = _planes(
        SLICES, PixelValueTransformationSequence=one(RescaleSlope=1, RescaleIntercept=-1000)
    )
    object_of(stored, ENHANCED_CT, Modality="CT", **groups).save_as(path, enforce_file_format=True)


def segmentation(path: Path) -> None:
    """Write a segmentation of one segment in single bits."""
    inside = images.labels()[4:7] > 0
    groups = _planes(len(inside), SegmentIdentificationSequence=one(ReferencedSegmentNumber=1))
    _, mm = _origin_and_spacing()
    for number, group in enumerate(groups["PerFrameFunctionalGroupsSequence"]):
        place = group.PlanePositionSequence[0].ImagePositionPatient
        place[2] += 4 * mm
        assert number < len(inside)
    packed = np.packbits(inside.ravel(), bitorder="little").tobytes()
    object_of(
        inside, SEG, Modality="SEG", SegmentationType="BINARY", BitsAllocated=1, BitsStored=1,
        HighBit=0, PixelData=packed + b"\0" * (len(packed) % 2),
        SegmentSequence=one(SegmentNumber=1, SegmentLabel="left-hemipelvis"), **groups,
    ).save_as(path, enforce_file_format=True)  # fmt: skip


def an_xray(pixels: NDArray[Any], storage: str = XA, **fields: Any) -> Dataset:
    """Return an X-ray that tells its geometry."""
    return object_of(
        pixels, storage,
        **{
            "Modality": "XA", "PixelIntensityRelationship": "LIN",
            "ImagerPixelSpacing": [6.0, 6.0], "DistanceSourceToDetector": 1000.0,
            "DistanceSourceToPatient": 700.0, "PositionerPrimaryAngle": 5.0,
            "PositionerSecondaryAngle": 0.0, **fields,
        },
    )  # fmt: skip


def compressed(dataset: Dataset, compressor: str) -> Dataset:
    """Return a data set of one frame, compressed as SimpleITK does it."""
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(1, dataset.Rows, dataset.Columns)
    with tempfile.TemporaryDirectory() as folder:
        writer = SimpleITK.ImageFileWriter()
        writer.SetFileName(f"{folder}/c.dcm")
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.Execute(SimpleITK.GetImageFromArray(pixels))
        found = pydicom.dcmread(f"{folder}/c.dcm")
    dataset.file_meta.TransferSyntaxUID = found.file_meta.TransferSyntaxUID
    dataset.PixelData = encapsulate([get_frame(found.PixelData, 0, number_of_frames=1)])
    dataset["PixelData"].is_undefined_length = True
    return dataset


def _xray(name: str, dataset: Dataset) -> images.Seed:
    return images.Seed(
        name=f"X-ray {name}",
        make=lambda folder: dataset.save_as(folder / "xray.dcm", enforce_file_format=True),
        read=lambda folder: read_radiograph(folder / "xray.dcm", camera=images.camera()),
    )


def _run_lengths() -> Dataset:
    dataset = an_xray(images.xray())
    dataset.compress(RLELossless)
    return dataset


def _enhanced_xa() -> Dataset:
    frames = np.stack([images.xray()] * 2)
    return an_xray(
        frames, ENHANCED_XA,
        SharedFunctionalGroupsSequence=one(
            XRayGeometrySequence=one(DistanceSourceToDetector=1000.0),
            XAXRFFrameCharacteristicsSequence=one(DerivationDescription="none"),
        ),
        PerFrameFunctionalGroupsSequence=Sequence([
            item(PositionerPositionSequence=one(PositionerPrimaryAngle=5.0)) for _ in frames
        ]),
    )  # fmt: skip


def _rt_image(path: Path) -> None:
    object_of(
        images.xray(), RT_IMAGE, Modality="RTIMAGE", RTImageSID=1000.0, RadiationMachineSAD=700.0,
        ImagePlanePixelSpacing=[6.0, 6.0], GantryAngle=10.0,
        RTImageOrientation=[1, 0, 0, 0, -1, 0],
    ).save_as(path, enforce_file_format=True)  # fmt: skip


def _read_labels(folder: Path) -> object:
    return read_volume(folder / "whole-ct.nii", folder / "seg.dcm")


def _make_labels(folder: Path) -> None:
    images.write_nifti(folder / "whole-ct.nii", images.hu())
    segmentation(folder / "seg.dcm")


def dicom_seeds() -> tuple[images.Seed, ...]:
    """Return DICOM of every kind that is read."""
    xray = images.xray()
    cine = an_xray(np.stack([xray, np.roll(xray, 1, 0), np.roll(xray, 2, 0)]))
    return (
        images.Seed(name="CT series", make=series, read=read_volume),
        images.Seed(
            name="CT enhanced", make=lambda folder: enhanced_ct(folder / "ct.dcm"),
            read=lambda folder: read_volume(folder / "ct.dcm"),
        ),
        images.Seed(name="labels SEG", make=_make_labels, read=_read_labels),
        _xray("XA", an_xray(xray)),
        _xray("DX", an_xray(xray, "1.2.840.10008.5.1.4.1.1.1.1", Modality="DX")),
        _xray("CR", an_xray(xray, "1.2.840.10008.5.1.4.1.1.1", Modality="CR", BitsStored=12,
                            HighBit=11, PixelData=(xray >> 4).tobytes())),
        _xray("RLE", _run_lengths()),
        *(_xray(name, compressed(an_xray(xray), name)) for name in ("JPEG", "JPEG2000")),
        _xray("enhanced XA", _enhanced_xa()),
        images.Seed(
            name="cine", make=lambda folder: cine.save_as(
                folder / "cine.dcm", enforce_file_format=True
            ),
            read=lambda folder: list(read_frames(folder / "cine.dcm", camera=images.camera())),
        ),
        images.Seed(
            name="camera RT Image", make=lambda folder: _rt_image(folder / "rt.dcm"),
            read=lambda folder: read_camera(folder / "rt.dcm"),
        ),
    )  # fmt: skip
