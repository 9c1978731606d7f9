"""What gzip and zlib pack, unpacked once: never more than is expected, its checksum held to."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from wsreg.errors import InputError
from wsreg.files.memory import in_gigabytes

GZIP_START = b"\x1f\x8b"
EITHER = 47
"""zlib's window that takes gzip and zlib; both end with a checksum, which it compares."""

BLOCK = 1 << 20
"""Bytes read, or unpacked, at a time."""

MOST_AFTER = 1 << 20
"""Bytes that may come after what a header tells of: an extension, a comment, padding."""

HIGHEST_RATIO = 1032
"""Nothing is packed more closely than this by the method of gzip and zlib."""

LARGE, CLOSE = 2_000_000_000, 200
"""Whoever packs more bytes than this more closely than this packs nothing but one value."""


def unpacked(path: Path, size: int, *, skip: int = 0) -> bytearray:
    """Return ``size`` bytes of what a gzip file holds, after ``skip`` others.

    Raises:
        InputError: it holds less or much more, or is damaged.
    """
    check_ratio(path, path.stat().st_size, skip + size)
    found = bytearray(size)
    at = -skip
    for block in _blocks(path, 0, skip + size):
        first, last = max(0, at), min(size, at + len(block))
        if last > first:
            found[first:last] = memoryview(block)[first - at : last - at]
        at += len(block)
    return found


def check_packed(path: Path, begin: int, size: int, packed: int | None = None) -> None:
    """Raise InputError unless from byte ``begin`` on a file packs ``size`` bytes undamaged.

    Args:
        path: of the file.
        begin: where its packed bytes begin.
        size: how many they are unpacked.
        packed: how many they are, where a header tells; all that follow if left out.
    """
    check_ratio(path, path.stat().st_size - begin, size)
    for _ in _blocks(path, begin, size, packed):
        pass


def check_ratio(path: Path, packed: int, size: int) -> None:
    """Raise InputError where so few bytes cannot hold so many, or hold nothing worth reading."""
    if size > HIGHEST_RATIO * packed + BLOCK:
        raise InputError(
            f"{path} is truncated: its header tells of {size} bytes, and its {packed} packed bytes "
            "cannot hold them"
        )
    if size > LARGE and size > CLOSE * packed:
        raise InputError(
            f"{path} must hold an image, its {in_gigabytes(size)} are packed {size // packed} "
            "times, which is possible only where nearly all is one value; if it is right, save it "
            "unpacked"
        )


def _blocks(path: Path, begin: int, size: int, packed: int | None = None) -> Iterator[bytes]:
    """Yield what a file packs, member after member; other bytes after them do not count."""
    got = 0
    with path.open("rb") as stream:
        stream.seek(begin)
        left = path.stat().st_size if packed is None else packed
        inside, data = zlib.decompressobj(EITHER), b""
        while True:
            if len(data) < len(GZIP_START):
                more = stream.read(min(BLOCK, left))
                data, left = data + more, left - len(more)
            if inside.eof:
                if not data.startswith(GZIP_START):
                    break
                inside = zlib.decompressobj(EITHER)
            block = _unpacked_block(inside, data, path)
            if not (block or data or inside.eof):
                raise InputError(f"{path} is truncated: it ends within its packed bytes")
            data = inside.unconsumed_tail or inside.unused_data
            got += len(block)
            if got > size + MOST_AFTER:
                raise InputError(
                    f"{path} holds more than the {size} bytes that its header tells of"
                )
            yield block
    if got < size:
        raise InputError(f"{path} is truncated: it holds {got} of {size} bytes")


def _unpacked_block(inside: zlib._Decompress, data: bytes, path: Path) -> bytes:
    try:
        return inside.decompress(data, BLOCK)
    except zlib.error as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise InputError(
            f"{path} is damaged: its packed bytes are not as they were written ({reason})"
        ) from None
