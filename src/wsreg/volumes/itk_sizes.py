"""What the headers of NRRD and MetaImage say of sizes, held against their files before ITK reads.

ITK allocates what a header tells of, takes less than that for the whole, and compares no checksum.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from wsreg.errors import InputError
from wsreg.files.memory import check_fits
from wsreg.files.packed import check_packed
from wsreg.volumes.metaimage_header import LONGEST_HEADER
from wsreg.volumes.nifti_voxels import COPIES, SMALLER
from wsreg.volumes.nrrd_header import NrrdHeader

_NRRD_BYTES = {
    "char": 1, "int8": 1, "int8_t": 1, "uchar": 1, "uint8": 1, "uint8_t": 1,
    "short": 2, "int16": 2, "int16_t": 2, "ushort": 2, "uint16": 2, "uint16_t": 2,
    "int": 4, "int32": 4, "int32_t": 4, "uint": 4, "uint32": 4, "uint32_t": 4, "float": 4,
    "longlong": 8, "int64": 8, "int64_t": 8, "ulonglong": 8, "uint64": 8, "uint64_t": 8,
    "double": 8,
}  # fmt: skip
_META_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG": 4, "MET_ULONG": 4, "MET_FLOAT": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8,
    "MET_DOUBLE": 8,
}  # fmt: skip

_OF_AXES = ("ElementSpacing", "ElementSize", "Offset", "Position", "Origin", "CenterOfRotation")
_OF_AXES_SQUARED = ("TransformMatrix", "Rotation", "Orientation")
"""Fields with a number for each axis, and for each pair of them."""

MOST_AXES = 4


class _Stored(NamedTuple):
    """Voxels as a header tells of them.

    Args:
        size: how many bytes they are.
        words: how many voxels of what.
        file: which holds them; None where they are in several, or text.
        begin: where they begin in it.
        packed: whether they are packed.
        packed_size: in how many bytes, where the header tells.
    """

    size: int
    words: str
    file: Path | None
    begin: int
    packed: bool
    packed_size: int | None = None


def check_nrrd_size(header: NrrdHeader, path: Path) -> None:
    """Raise InputError unless the voxels of an NRRD file are there and fit into memory."""
    fields = header.fields
    kind = fields.get("type", "").lower().replace("signed ", "").replace("unsigned ", "u")
    kind = kind.replace(" int", "").replace("long long", "longlong")
    sizes = _whole_numbers(fields.get("sizes", ""), path, "sizes")
    encoding = fields.get("encoding", "").lower()
    skips = any(name in fields for name in ("byte skip", "byteskip", "line skip", "lineskip"))
    name = fields.get("data file", fields.get("datafile", ""))
    file: Path | None = path.parent / name if name else path
    if skips or "%" in name or name.startswith("LIST") or encoding not in ("raw", "gzip", "gz"):
        file = None
    _check(
        _Stored(
            math.prod(sizes) * _NRRD_BYTES.get(kind, 1), f"{_times(sizes)} voxels of {kind}", file,
            0 if name else header.end, encoding != "raw",
        ),
        path,
    )  # fmt: skip


def check_metaimage_size(fields: dict[str, str], path: Path) -> None:
    """Raise InputError unless the voxels of a MetaImage file are there and fit into memory."""
    kind = fields.get("ElementType", "").upper()
    sizes = _whole_numbers(fields.get("DimSize", ""), path, "DimSize")
    _check_counts(fields, len(sizes), path)
    channels = _whole_numbers(fields.get("ElementNumberOfChannels", "1"), path, "channels")
    name = fields.get("ElementDataFile", "")
    alone = name.upper() == "LOCAL"
    file: Path | None = path if alone else path.parent / name
    skips = fields.get("HeaderSize", "0") not in ("0", "-1")
    text = fields.get("BinaryData", "True").upper() == "FALSE"
    if skips or text or "%" in name or " " in name or name.upper() == "LIST":
        file = None
    size = math.prod(sizes) * math.prod(channels) * _META_BYTES.get(kind, 1)
    packed = fields.get("CompressedData", "False").upper() == "TRUE"
    begin = _after_header(path) if alone else 0
    packed_size = None
    if packed and file is not None:  # without it, or with a wrong one, ITK reads other voxels
        field = fields.get("CompressedDataSize", "")
        packed_size = _whole_numbers(field, path, "CompressedDataSize")[0]
    words = f"{_times(sizes)} voxels of {kind}"
    _check(_Stored(size, words, file, begin, packed, packed_size), path)


def _check_counts(fields: dict[str, str], axes: int, path: Path) -> None:
    """Raise InputError for fields of other than so many numbers, at which ITK can crash."""
    if fields.get("NDims") != str(axes) or axes > MOST_AXES:
        raise InputError(
            f"{path} must have as many numbers in DimSize as NDims says, got {axes} and "
            f"{fields.get('NDims')}"
        )
    for name, text in fields.items():
        wanted = axes**2 if name in _OF_AXES_SQUARED else axes
        if name in (*_OF_AXES, *_OF_AXES_SQUARED) and len(text.split()) != wanted:
            raise InputError(f"{path} must have {wanted} numbers as {name}, got {text[:80]!r}")


def _check(stored: _Stored, path: Path) -> None:
    check_fits(COPIES * stored.size, path, stored.words, SMALLER)
    if stored.file is None:
        return
    if not stored.file.is_file():
        raise InputError(
            f"{path} is not a readable image: its voxels must be in {stored.file.name}, there is "
            "no such file"
        )
    if stored.packed:
        check_packed(stored.file, stored.begin, stored.size, stored.packed_size)
        return
    present = stored.file.stat().st_size - stored.begin
    if present < stored.size:
        raise InputError(
            f"{path} is truncated: {stored.file.name} has {max(0, present)} of {stored.size} bytes "
            "of voxels"
        )


def _after_header(path: Path) -> int:
    """Return where the voxels of a file begin: after the line that says that they follow."""
    with path.open("rb") as stream:
        start = stream.read(LONGEST_HEADER)
    return start.index(b"\n", start.index(b"ElementDataFile")) + 1


def _whole_numbers(text: str, path: Path, name: str) -> list[int]:
    words = text.split()
    if not words or not all(word.isdecimal() and len(word) < 19 for word in words):
        raise InputError(f"{path} must have whole numbers as {name} in its header, got {text!r}")
    return [int(word) for word in words]


def _times(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes))
