from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, RLELossless

from wsreg.dicom.files import quietly, read_dataset
from wsreg.dicom.pixels import ShortPixelsError, decode_frame, pixel_format
from wsreg.errors import InputError

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
VALUES = np.random.default_rng(3).integers(0, 4096, (3, 7, 5)).astype(np.uint16)


def dataset_of(pixels: NDArray[Any], **fields: Any) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.12.1", "1.2.3"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def decoded(dataset: Dataset, tmp_path: Path, index: int = 0) -> NDArray[Any]:
    path = tmp_path / "x.dcm"
    dataset.save_as(path, enforce_file_format=True)
    read = read_dataset(path)
    return decode_frame(read, pixel_format(read, path), index, path)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
def test_unpacked_frames(tmp_path: Path, kind: type[np.integer]) -> None:
    values = np.random.default_rng(1).integers(-100, 100, (3, 4, 6)).astype(kind)
    for index in range(3):
        pixels = decoded(dataset_of(values), tmp_path, index)
        np.testing.assert_array_equal(pixels, values[index])
        assert pixels.dtype == kind


def test_bits_that_do_not_count(tmp_path: Path) -> None:
    """12 of 16 bits: with an overlay above, with a sign, and in the upper part of the word."""
    overlaid = VALUES[0] | 0xA000
    stored = {"BitsStored": 12, "HighBit": 11}
    np.testing.assert_array_equal(decoded(dataset_of(overlaid, **stored), tmp_path), VALUES[0])
    signed = dataset_of(overlaid, **stored, PixelRepresentation=1)
    expected = np.where(VALUES[0] < 2048, VALUES[0], VALUES[0].astype(int) - 4096)
    np.testing.assert_array_equal(decoded(signed, tmp_path), expected)
    shifted = dataset_of(VALUES[0] << 4 | 7, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(decoded(shifted, tmp_path), VALUES[0])


@pytest.mark.parametrize(
    ("padding", "limit", "signed", "expected"),
    [
        (63536, None, 1, (-2000, -2000)),
        (-2000, None, 0, (63536, 63536)),
        (0, 10, 0, (0, 10)),
        (-900, -2000, 1, (-2000, -900)),
    ],
)
def test_padding_has_the_sign_of_the_pixels(
    tmp_path: Path, padding: int, limit: int | None, signed: int, expected: tuple[int, int]
) -> None:
    dataset = dataset_of(VALUES[0], PixelRepresentation=signed)
    vr = "SS" if padding < 0 else "US"
    dataset.add_new("PixelPaddingValue", vr, padding)
    if limit is not None:
        dataset.add_new("PixelPaddingRangeLimit", vr, limit)
    assert pixel_format(dataset, tmp_path).padding == expected


def test_padding_beyond_the_stored_bits_is_kept(tmp_path: Path) -> None:
    values = VALUES[0].copy()
    values[0, :2] = 63536
    dataset = dataset_of(values, BitsStored=12, HighBit=11)
    dataset.add_new("PixelPaddingValue", "US", 63536)
    form = pixel_format(dataset, tmp_path)
    pixels = decode_frame(dataset, form, 0, tmp_path)
    np.testing.assert_array_equal(pixels, values)
    assert form.is_padding(pixels).sum() == 2


def test_single_bits_across_bytes(tmp_path: Path) -> None:
    bits = np.random.default_rng(2).integers(0, 2, (4, 5, 3)).astype(np.uint8)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    dataset = dataset_of(bits, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=packed)
    for index in range(4):
        np.testing.assert_array_equal(decoded(dataset, tmp_path, index), bits[index])


def test_short_pixels_tell_how_short(tmp_path: Path) -> None:
    dataset = dataset_of(VALUES, PixelData=VALUES.tobytes()[:-20])
    np.testing.assert_array_equal(decoded(dataset, tmp_path, 1), VALUES[1])
    with pytest.raises(ShortPixelsError, match=r"x\.dcm is truncated: it has 190 of 210 bytes"):
        decoded(dataset, tmp_path, 2)


def itk_compressed(values: NDArray[np.uint16], compressor: str, folder: Path) -> tuple[str, bytes]:
    """Transfer syntax and pixel data as SimpleITK compresses them."""
    writer = SimpleITK.ImageFileWriter()
    writer.SetFileName(str(folder / "c.dcm"))
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.Execute(SimpleITK.GetImageFromArray(values[None]))
    dataset = pydicom.dcmread(folder / "c.dcm")
    return dataset.file_meta.TransferSyntaxUID, bytes(dataset.PixelData)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000", "JPEGLS"])
def test_lossless_compressions_give_the_values_back(tmp_path: Path, compressor: str) -> None:
    """One frame of three: fragments are put together for each, and no other is decoded."""
    frames = []
    smooth = (np.add.outer(np.arange(32), np.arange(40)) * 50).astype(np.uint16)
    values = np.stack([smooth, smooth[::-1], smooth[:, ::-1]])
    for plane in values:
        syntax, data = itk_compressed(plane, compressor, tmp_path)
        frames.append(pydicom.encaps.get_frame(data, 0, number_of_frames=1))
    dataset = dataset_of(values, PixelData=encapsulate(frames, fragments_per_frame=2))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset["PixelData"].is_undefined_length = True
    for index in range(3):
        np.testing.assert_array_equal(decoded(dataset, tmp_path, index), values[index])
    cut = frames[1][: len(frames[1]) // 2 // 2 * 2]
    dataset.PixelData = encapsulate([frames[0], cut, frames[2]])
    np.testing.assert_array_equal(decoded(dataset, tmp_path, 2), values[2])
    with pytest.raises(ShortPixelsError, match=r"bytes of a compressed frame, without its end"):
        decoded(dataset, tmp_path, 1)


def test_run_lengths(tmp_path: Path) -> None:
    dataset = dataset_of(VALUES)
    dataset.compress(RLELossless)
    np.testing.assert_array_equal(decoded(dataset, tmp_path, 2), VALUES[2])


def test_a_jpeg_of_another_size_is_not_decoded(tmp_path: Path) -> None:
    syntax, data = itk_compressed(VALUES[0], "JPEG", tmp_path)
    assert syntax == JPEGLosslessSV1
    dataset = dataset_of(VALUES[0], Rows=8, PixelData=data)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(InputError, match=r"the JPEG is 7x5 with 1 samples of 16 bits"):
        decoded(dataset, tmp_path)


def test_what_cannot_be_decoded_says_so_in_one_line(tmp_path: Path) -> None:
    dataset = dataset_of(VALUES[0], PixelData=encapsulate([b"\xff\x4f\xff\x51" + bytes(60)]))
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(InputError, match=r"x\.dcm is truncated|no readable pixels") as caught:
        decoded(dataset, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Rows": 0}, "whole number in the DICOM tag Rows, got 0"),
        ({"BitsAllocated": 12}, "must have 1, 8, 16 or 32 BitsAllocated, got 12"),
        ({"SamplesPerPixel": 3}, r"one number for each pixel, got 3 \(in colour\)"),
    ],
)
def test_impossible_formats(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        decoded(dataset_of(VALUES[0], **fields), tmp_path)


def test_frames_are_counted_by_bytes_where_the_header_is_malformed(tmp_path: Path) -> None:
    dataset = dataset_of(VALUES)
    tag = pydicom.tag.Tag("NumberOfFrames")
    dataset[tag] = pydicom.dataelem.RawDataElement(tag, "IS", 4, b"abc ", 0, False, True)
    notes: list[str] = []
    assert pixel_format(dataset, tmp_path, notes).frames == 3
    assert notes == ["Ignored NumberOfFrames, which is malformed."]


def _grey_files() -> list[Path]:
    found = []
    for path in sorted(p for p in TEST_FILES.rglob("*") if p.is_file()):
        try:
            dataset = read_dataset(path, ["PhotometricInterpretation", "Rows"])
        except InputError:
            continue
        if str(dataset.get("PhotometricInterpretation", "")).startswith("MONOCHROME"):
            found.append(path)
    return found


@pytest.mark.parametrize("path", _grey_files(), ids=lambda path: path.name)
def test_values_equal_pydicoms(path: Path) -> None:
    """Every grey image among pydicom's own test files, where pydicom itself can decode it."""
    dataset = read_dataset(path)
    if "PixelData" not in dataset:
        pytest.fail(f"{path.name} has no pixels")
    try:
        with quietly():
            expected = pixel_array(read_dataset(path), index=0)
    except (AttributeError, RuntimeError, ValueError):
        expected = None
    try:
        pixels = decode_frame(dataset, pixel_format(dataset, path), 0, path)
    except InputError:
        assert expected is None  # pydicom cannot either
        return
    assert pixels.shape == (dataset.Rows, dataset.Columns)
    if expected is not None:
        np.testing.assert_array_equal(pixels, expected)


def test_sizes_that_the_pixels_cannot_have(tmp_path: Path) -> None:
    for fields, message in (
        ({"Rows": 65535, "Columns": 65535}, "at most 67108864 pixels, .* has 65535 x 65535"),
        ({"NumberOfFrames": 2_000_000_000}, r"cannot hold the 2000000000 frames .* room for 3"),
    ):
        with pytest.raises(InputError, match=message):
            pixel_format(dataset_of(VALUES, **fields), tmp_path)


def test_bits_that_cannot_be_are_named_with_what_was_taken(tmp_path: Path) -> None:
    notes: list[str] = []
    form = pixel_format(dataset_of(VALUES, BitsStored=20, HighBit=40), tmp_path, notes)
    assert (form.stored, form.high) == (16, 15)
    assert notes == [
        "Warning: BitsStored must lie in 1 to 16, it is 20; 16 was taken.",
        "Warning: HighBit must lie in 15 to 15, it is 40; 15 was taken.",
    ]
