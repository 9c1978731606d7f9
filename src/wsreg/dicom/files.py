"""Tell DICOM files by their content and read them, also those without preamble or file meta."""

from __future__ import annotations

import os
import struct
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.reading_from import FOREIGN_ERRORS

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")

PROBED_ELEMENTS = 2
"""How many elements must follow each other as in DICOM where there is no preamble."""

_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR "
    b"US UT UV".split()
)
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

_lock = threading.RLock()


def parsing_errors() -> tuple[type[Exception], ...]:
    """Return every kind of error by which pydicom tells that a file or a value is damaged."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*FOREIGN_ERRORS, BytesLengthException, InvalidDicomError)


@contextmanager
def quietly() -> Iterator[None]:
    """Read without pydicom's warnings: what matters of a file is said in notes.

    Filters of warnings belong to the whole process, so one thread at a time changes them here.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_dicom(path: Path) -> bool:
    """Tell by its content whether a file is DICOM, with or without preamble and file meta.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            start = stream.read(512)
            size = stream.seek(0, os.SEEK_END)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return start[128:132] == b"DICM" or _starts_with_elements(start, size)


def _starts_with_elements(start: bytes, size: int) -> bool:
    """Tell whether bytes begin with elements of group 2 or 8 in the order of their tags."""
    for order in "<", ">":
        position, last, found = 0, (0, 0), 0
        while found < PROBED_ELEMENTS and position + 12 <= len(start):
            tag = struct.unpack_from(f"{order}HH", start, position)
            length, header = _length_at(start, position, order)
            first = found == 0 and tag[0] not in (2, 8)
            if first or tag <= last or length % 2 or position + header + length > size:
                break
            position, last, found = position + header + length, tag, found + 1
            if position + 12 > len(start):  # a long value ends the look: one more is not in reach
                found += 1
        if found >= PROBED_ELEMENTS:
            return True
    return False


def _length_at(start: bytes, position: int, order: str) -> tuple[int, int]:
    """Return the length of an element's value, and of what stands before it."""
    vr = start[position + 4 : position + 6]
    if vr in _LONG_VRS:
        return struct.unpack_from(f"{order}I", start, position + 8)[0], 12
    if vr in _VRS:
        return struct.unpack_from(f"{order}H", start, position + 6)[0], 8
    return struct.unpack_from(f"{order}I", start, position + 4)[0], 8


def read_dataset(path: Path, tags: Sequence[str] | None = None) -> Any:
    """Read a file as a pydicom data set whose file meta names a transfer syntax.

    Args:
        path: the file.
        tags: keywords to read, without pixels; everything if left out.

    Raises:
        InputError: it is no DICOM file, or is damaged.
    """
    from pydicom import dcmread

    if not is_dicom(path):
        raise InputError(
            f"{path} is not a DICOM file: it has neither the DICM preamble nor DICOM's elements "
            "at its start"
        )
    try:
        with quietly():
            dataset = dcmread(
                path,
                force=True,
                stop_before_pixels=tags is not None,
                specific_tags=None if tags is None else list(tags),
            )
            _name_transfer_syntax(dataset)
    except parsing_errors() as error:
        raise InputError(
            f"{path} is a damaged or truncated DICOM file: {first_line(error)}"
        ) from error
    return dataset


def _name_transfer_syntax(dataset: Any) -> None:
    """Put the transfer syntax in which an old file turned out to be written into its meta."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    meta = getattr(dataset, "file_meta", None)
    if meta is None:
        meta = dataset.file_meta = FileMetaDataset()
    if str(meta.get("TransferSyntaxUID") or ""):
        return
    implicit, little = dataset.original_encoding
    plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    meta.TransferSyntaxUID = plain if little else ExplicitVRBigEndian


def first_line(error: BaseException) -> str:
    """Return what an error says, on one line and not too long."""
    lines = str(error).strip().splitlines()
    return (lines[0].strip() if lines else type(error).__name__)[:200]


def listed(names: Sequence[object], limit: int = 5) -> str:
    """Return names for a sentence, the first few of many."""
    shown = ", ".join(map(str, names[:limit]))
    more = len(names) - limit
    return f"{shown} and {more} more" if more > 0 else shown
