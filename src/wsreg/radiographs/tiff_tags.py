"""The tags of a TIFF file that say how its numbers become a picture."""

from __future__ import annotations

import struct
from typing import NamedTuple

_ORIENTATION, _PHOTOMETRIC, _BITS, _SAMPLES, _FORMAT = 274, 262, 258, 277, 339
_WIDTH, _HEIGHT = 256, 257
_READ = (_ORIENTATION, _PHOTOMETRIC, _BITS, _SAMPLES, _FORMAT, _WIDTH, _HEIGHT)
_FORMATS = {1: "B", 3: "H", 4: "I"}
_SIZES = {1: 1, 3: 2, 4: 4}
_MIN_IS_WHITE, _MIN_IS_BLACK = 0, 1


class TiffTags(NamedTuple):
    """What a TIFF file says of its first picture.

    Args:
        orientation: 1 to 8, how the stored rows and columns are to be shown; 1 is as stored.
        min_is_white: whether small numbers are bright.
        bits: per sample.
        samples: per pixel.
        signed: whether the samples are signed integers.
        width, height: in pixels, 0 where it does not say.
    """

    orientation: int = 1
    min_is_white: bool = False
    bits: int = 8
    samples: int = 1
    signed: bool = False
    width: int = 0
    height: int = 0


def stored_tiff(data: bytes) -> tuple[bytes, TiffTags] | None:
    """Return a TIFF file whose picture is to be read just as stored, and what its tags said.

    Pillow turns pictures by their tag, some wrongly (uncompressed ones that are not square come out
    scrambled), and inverts those of 8 bits in which small numbers are white, but not those of 16.
    None for what is no TIFF file, or one whose tags cannot be read.
    """
    try:
        places = _places(data)
    except (struct.error, KeyError):
        return None
    if places is None:
        return None
    order, found = places
    values = {tag: value for tag, (_, _, value) in found.items()}
    tags = TiffTags(
        orientation=values.get(_ORIENTATION, 1),
        min_is_white=values.get(_PHOTOMETRIC) == _MIN_IS_WHITE,
        bits=values.get(_BITS, 1),
        samples=values.get(_SAMPLES, 1),
        signed=values.get(_FORMAT, 1) == 2,
        width=values.get(_WIDTH, 0),
        height=values.get(_HEIGHT, 0),
    )
    plain = bytearray(data)
    changes = {_ORIENTATION: 1} | ({_PHOTOMETRIC: _MIN_IS_BLACK} if tags.min_is_white else {})
    for tag, value in changes.items():
        if tag in found:
            place, kind, _ = found[tag]
            struct.pack_into(order + kind, plain, place, value)
    return bytes(plain), tags


def _places(data: bytes) -> tuple[str, dict[int, tuple[int, str, int]]] | None:
    """Return the byte order and, of tags with small whole numbers, place, type and first value."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    (magic,) = struct.unpack_from(order + "H", data, 2)
    if magic not in (42, 43):
        return None
    big = magic == 43
    word, entry_bytes, inline_bytes = ("Q", 20, 8) if big else ("I", 12, 4)
    (start,) = struct.unpack_from(order + word, data, 8 if big else 4)
    counting = "Q" if big else "H"
    (count,) = struct.unpack_from(order + counting, data, start)
    first = start + struct.calcsize(order + counting)
    found = {}
    for place in range(first, first + min(count, 4096) * entry_bytes, entry_bytes):
        tag, kind, number = struct.unpack_from(order + "HH" + word, data, place)
        if tag not in _READ:
            continue
        if kind not in _FORMATS:
            continue
        at = place + entry_bytes - inline_bytes
        if number * _SIZES[kind] > inline_bytes:  # elsewhere in the file
            (at,) = struct.unpack_from(order + word, data, at)
        (value,) = struct.unpack_from(order + _FORMATS[kind], data, at)
        found[tag] = (at, _FORMATS[kind], value)
    return order, found
