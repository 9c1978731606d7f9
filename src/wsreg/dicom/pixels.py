"""Stored values of one frame: unpacked here, or decoded by what pydicom or SimpleITK can decode."""

from __future__ import annotations

import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.files import first_line, parsing_errors, quietly
from wsreg.dicom.header import Header, file_header
from wsreg.errors import InputError
from wsreg.files.reading_from import reason_of

START_OF_IMAGE, MARKER = b"\xff\xd8", 0xFF
FRAME_MARKERS = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xF7)
"""Of a JPEG: how it begins, what every marker begins with, and markers that tell its size."""

MOST_PIXELS = 1 << 26
"""Of a frame or an X-ray: 8192 x 8192, more than any detector has."""

FRAMES_MISSING = 10
"""A file that was cut may tell of so many times the frames that it has."""

END_OF_IMAGE = b"\xff\xd9"
"""The last two bytes of a frame in any kind of JPEG."""


class ShortPixelsError(InputError):
    """A file holds fewer bytes of pixels than it must.

    Args:
        path: the file.
        present: how many bytes are there.
        needed: how many are needed; None where they are compressed.
    """

    def __init__(self, path: Path, present: int, needed: int | None) -> None:
        self.path, self.present, self.needed = path, present, needed
        super().__init__(f"{path} is truncated: it has {self.shortage}")

    @property
    def shortage(self) -> str:
        """Return how much is there, and how much is needed."""
        if self.needed is None:
            return f"{self.present} bytes of a compressed frame, without its end"
        return f"{self.present} of {self.needed} bytes of pixels"


@dataclass(frozen=True, kw_only=True)
class PixelFormat:
    """How a file stores grey values.

    Args:
        rows, columns: size of a frame.
        allocated, stored, high: bits of a value, bits that count, and number of the highest.
        signed: whether values are two's complement.
        frames: how many frames the file says that it has.
        syntax: the transfer syntax.
        photometric: photometric interpretation.
        padding: smallest and largest stored value that the header declares as padding, or None.
    """

    rows: int
    columns: int
    allocated: int
    stored: int
    high: int
    signed: bool
    frames: int
    syntax: Any
    photometric: str
    padding: tuple[int, int] | None = None

    @property
    def frame_bits(self) -> int:
        return self.rows * self.columns * self.allocated

    def is_padding(self, stored: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which stored values the header declares as padding."""
        if self.padding is None:
            return np.zeros(stored.shape, dtype=bool)
        low, high = self.padding
        inside: NDArray[np.bool_] = (stored >= low) & (stored <= high)
        return inside


def pixel_format(dataset: Any, path: Path, notes: list[str] | None = None) -> PixelFormat:
    """Return how a file stores its grey values.

    Raises:
        InputError: no pixels, values in colour, or a size that is missing or impossible.
    """
    header = file_header(dataset, notes)
    if "PixelData" not in dataset:
        raise InputError(f"{path} must hold an image, it is a DICOM file without pixel data")
    _check_readable(dataset, path)
    samples = header.whole("SamplesPerPixel")
    if samples not in (None, 1):
        raise InputError(f"{path} must hold one number for each pixel, got {samples} (in colour)")
    rows, columns, allocated = (
        _needed(header, keyword, path) for keyword in ("Rows", "Columns", "BitsAllocated")
    )
    if allocated not in (1, 8, 16, 32):
        raise InputError(f"{path} must have 1, 8, 16 or 32 BitsAllocated, got {allocated}")
    check_xray_size(rows, columns, path)
    stored = _within(header, "BitsStored", 1, allocated, allocated)
    high = _within(header, "HighBit", stored - 1, allocated - 1, stored - 1)
    signed = header.whole("PixelRepresentation") == 1
    return PixelFormat(
        rows=rows,
        columns=columns,
        allocated=allocated,
        stored=stored,
        high=high,
        signed=signed,
        frames=_frame_count(header, rows * columns * allocated, path),
        syntax=dataset.file_meta.TransferSyntaxUID,
        photometric=header.word("PhotometricInterpretation") or "MONOCHROME2",
        padding=_padding(header, allocated, signed),
    )


def _check_readable(dataset: Any, path: Path) -> None:
    """Raise InputError unless the transfer syntax is one, and the pixels are bytes."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        with quietly():
            readable = isinstance(dataset["PixelData"].value or b"", bytes)
            readable = readable and syntax.is_encapsulated in (True, False)
    except parsing_errors() as error:
        raise InputError(f"{path} has no readable pixels: {first_line(error)}") from error
    if not readable:
        raise InputError(f"{path} has no readable pixels: its pixel data are not bytes")


def _needed(header: Header, keyword: str, path: Path) -> int:
    value = header.whole(keyword)
    if value is None or value < 1:
        got = header.value(keyword)
        raise InputError(f"{path} must have a whole number in the DICOM tag {keyword}, got {got!r}")
    return value


def _within(header: Header, keyword: str, low: int, high: int, otherwise: int) -> int:
    """Return a number of bits, or what is taken, with a note, for one that cannot be."""
    value = header.whole(keyword)
    if value is None or low <= value <= high:
        return otherwise if value is None else value
    header.note(
        f"Warning: {keyword} must lie in {low} to {high}, it is {value}; {otherwise} was taken."
    )
    return otherwise


def check_xray_size(rows: int, columns: int, path: Path) -> None:
    """Raise InputError for an image that is larger than any X-ray, before its pixels are read."""
    if rows * columns > MOST_PIXELS:
        raise InputError(
            f"{path} must be of at most {MOST_PIXELS} pixels, which is more than any X-ray has, "
            f"it says that it has {rows} x {columns}"
        )


def _padding(header: Header, allocated: int, signed: bool) -> tuple[int, int] | None:
    """Return the ends of the declared padding, as pixels have them whatever its own sign is."""
    value, limit = header.whole("PixelPaddingValue"), header.whole("PixelPaddingRangeLimit")
    if value is None:
        return None
    size = 1 << allocated
    ends = [end % size for end in (value, value if limit is None else limit)]
    if signed:
        ends = [end - size if end >= size // 2 else end for end in ends]
    return min(ends), max(ends)


def _frame_count(header: Header, frame_bits: int, path: Path) -> int:
    """Return the number of frames, by the bytes that are there where the header does not say it.

    Raises:
        InputError: the header tells of many more than the bytes can hold.
    """
    count = header.whole("NumberOfFrames")
    if count is not None and count >= 1:
        _check_frames(header.levels[-1], count, frame_bits, path)
        return count
    groups = len(header.items("PerFrameFunctionalGroupsSequence"))
    if groups:
        return groups
    if count is None and not header.has("NumberOfFrames"):
        return 1
    dataset = header.levels[-1]
    compressed = dataset.file_meta.TransferSyntaxUID.is_encapsulated
    return 1 if compressed else max(1, 8 * len(_pixel_bytes(dataset)) // frame_bits)


def _check_frames(dataset: Any, count: int, frame_bits: int, path: Path) -> None:
    bits = 8 * len(dataset["PixelData"].value or b"")
    least = 64 if dataset.file_meta.TransferSyntaxUID.is_encapsulated else frame_bits
    if count > FRAMES_MISSING * (bits // least + 1):
        raise InputError(
            f"{path} cannot hold the {count} frames of its NumberOfFrames: its {bits // 8} bytes "
            f"of pixels have room for {bits // least}"
        )


def decode_frame(dataset: Any, form: PixelFormat, index: int, path: Path) -> NDArray[Any]:
    """Return [rows, columns] stored values of frame ``index``, before any rescaling.

    Args:
        dataset: a file that was read with its pixels.
        form: of :func:`pixel_format`.
        index: counted from 0.
        path: what to call the file in errors.

    Raises:
        ShortPixelsError: fewer bytes than the frame needs.
        InputError: the frame cannot be decoded.
    """
    if not form.syntax.is_encapsulated:
        return _unpacked(dataset, form, index, path)
    frame = _compressed_frame(dataset, form, index, path)
    errors = []
    for decode in (_by_pydicom, _by_simpleitk):
        try:
            with quietly():
                pixels = decode(frame, form)
        except parsing_errors() as error:
            errors.append(reason_of(error))
            continue
        if pixels.shape != (form.rows, form.columns):
            raise InputError(
                f"{path} must hold {form.rows}x{form.columns} single numbers in a frame, "
                f"got an array of {list(pixels.shape)}"
            )
        return pixels
    if b"JPEG" in form.syntax.name.encode() and END_OF_IMAGE not in frame[-16:]:
        raise ShortPixelsError(path, len(frame), None)
    raise InputError(
        f"{path} has no readable pixels: they are compressed as {form.syntax.name}, and neither "
        f"pydicom nor SimpleITK decodes them ({errors[-1]})"
    )


def _pixel_bytes(dataset: Any) -> bytes:
    return bytes(dataset["PixelData"].value or b"")


def _unpacked(dataset: Any, form: PixelFormat, index: int, path: Path) -> NDArray[Any]:
    data = dataset["PixelData"].value or b""
    begin, end = index * form.frame_bits, (index + 1) * form.frame_bits
    if 8 * len(data) < end:
        raise ShortPixelsError(path, len(data), -(-max(end, form.frames * form.frame_bits) // 8))
    if form.allocated == 1:
        packed = np.frombuffer(data[begin // 8 : -(-end // 8)], np.uint8)
        bits = np.unpackbits(packed, bitorder="little")[begin % 8 :]
        return bits[: form.rows * form.columns].reshape(form.rows, form.columns)
    order = "<" if form.syntax.is_little_endian else ">"
    words = data[begin // 8 : end // 8]
    if form.allocated == 8 and order == ">" and dataset["PixelData"].VR == "OW":
        words = np.frombuffer(words[: len(words) // 2 * 2], "<u2").byteswap().tobytes()
    values = np.frombuffer(words, f"{order}u{form.allocated // 8}")
    return _stored_bits(values.reshape(form.rows, form.columns), form)


def _stored_bits(values: NDArray[Any], form: PixelFormat) -> NDArray[Any]:
    """Return the bits that count of unsigned words; the others may hold an overlay."""
    words = values.astype(f"=u{form.allocated // 8}")
    kind = f"={'i' if form.signed else 'u'}{form.allocated // 8}"
    spare = form.allocated - form.stored
    if not spare:
        return words.view(kind)
    # up to the sign's place, which cuts off what is above, then down again with the sign
    stored = (words << (form.allocated - 1 - form.high)).view(kind) >> spare
    # scanners write padding that needs more bits than they say that they store
    return np.where(form.is_padding(words.view(kind)), words.view(kind), stored)


def _compressed_frame(dataset: Any, form: PixelFormat, index: int, path: Path) -> bytes:
    from pydicom.encaps import get_frame

    extended = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        extended = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    try:
        with quietly():
            data = _pixel_bytes(dataset)
            frames = form.frames
            return bytes(get_frame(data, index, number_of_frames=frames, extended_offsets=extended))
    except parsing_errors() as error:
        raise InputError(
            f"{path} has no readable pixels: frame {index} is not there whole ({first_line(error)})"
        ) from error


def _by_pydicom(frame: bytes, form: PixelFormat) -> NDArray[Any]:
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    decoder = get_decoder(form.syntax)
    pixels, _ = decoder.as_array(
        encapsulate([frame]),
        index=0,
        raw=True,
        rows=form.rows,
        columns=form.columns,
        samples_per_pixel=1,
        number_of_frames=1,
        bits_allocated=form.allocated,
        bits_stored=form.stored,
        pixel_representation=int(form.signed),
        photometric_interpretation=form.photometric,
        pixel_keyword="PixelData",
    )
    return np.asarray(pixels)


def _check_jpeg(frame: bytes, form: PixelFormat) -> None:
    """Raise ValueError unless a JPEG's own header is whole and agrees with the file's.

    GDCM, by which SimpleITK decodes, does not check this and can crash.
    """
    position = 2
    while position + 10 <= len(frame):
        if frame[position] != MARKER or frame[:2] != START_OF_IMAGE:
            break
        if frame[position + 1] == MARKER:  # fill before a marker
            position += 1
            continue
        kind, length = frame[position + 1], int.from_bytes(frame[position + 2 : position + 4])
        if kind in FRAME_MARKERS:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", frame, position + 4)
            if (rows, columns, samples) != (form.rows, form.columns, 1) or bits > form.allocated:
                raise ValueError(
                    f"the JPEG is {rows}x{columns} with {samples} samples of {bits} bits"
                )
            return
        position += 2 + length
    raise ValueError("the JPEG has no header of its frame")


def _by_simpleitk(frame: bytes, form: PixelFormat) -> NDArray[Any]:
    """Decode a frame through a file that holds nothing else: no rescaling, and no bad values."""
    if form.syntax.name.startswith("JPEG") and "2000" not in form.syntax.name:
        _check_jpeg(frame, form)
    import SimpleITK
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import XRayAngiographicImageStorage, generate_uid

    alone = Dataset()
    alone.file_meta = FileMetaDataset()
    alone.file_meta.TransferSyntaxUID = form.syntax
    alone.SOPClassUID, alone.SOPInstanceUID = XRayAngiographicImageStorage, generate_uid()
    alone.Modality, alone.SamplesPerPixel = "XA", 1
    alone.PhotometricInterpretation = "MONOCHROME2"
    alone.Rows, alone.Columns = form.rows, form.columns
    alone.BitsAllocated, alone.BitsStored = form.allocated, form.stored
    alone.HighBit, alone.PixelRepresentation = form.stored - 1, int(form.signed)
    alone.PixelData = encapsulate([frame])
    alone["PixelData"].is_undefined_length = True
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frame.dcm"
        alone.save_as(file, enforce_file_format=True)
        image = SimpleITK.ReadImage(str(file))
    pixels = SimpleITK.GetArrayFromImage(image)
    return np.asarray(pixels[0] if pixels.ndim == 3 else pixels)
