"""HDF5 files of which every heap of texts is looked at before HDF5 walks through it.

Values of variable length lie in heaps, objects one after the other, and HDF5 goes by each object's
size to the next: at a free one of size zero it stays for ever, within C, where nothing stops it.

Source: HDF5 File Format Specification 3.0, section III.E, "Disk Format: Level 1E - Global Heap".
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

SIGNATURE = b"GCOL"
HEADER = 16
"""Bytes of the head of a heap and of each object in it, for lengths of 2, 4 and 8 bytes alike."""
LENGTH_AT = 8
"""Where a head says how long that is which it begins."""
MOST_OBJECTS = 1 << 16
"""Of one heap: two bytes hold an object's number."""


@contextmanager
def watched_hdf5(path: str | Path) -> Iterator[Any]:
    """Open an HDF5 file (h5py.File) in which reading from a damaged heap raises OSError.

    Only for as long as the block lasts: where a file that is read through Python is open at exit,
    h5py crashes.  It takes no lock.

    Raises:
        OSError: there is no such file, or it is no HDF5 file.
    """
    import h5py

    with _Watched(path) as stream, h5py.File(stream, "r") as file:
        stream.length_bytes = file.id.get_create_plist().get_sizes()[1]
        yield file


class _Watched(io.FileIO):
    """A file that HDF5 reads through Python; it reads a heap from its first byte, by itself."""

    length_bytes = 8

    def readinto(self, buffer: Any, /) -> int:
        begin, size = self.tell(), memoryview(buffer).nbytes
        if super().readinto(buffer) != size:  # h5py would take what lay in memory there
            raise OSError("it is cut short")
        if bytes(memoryview(buffer)[: len(SIGNATURE)]) == SIGNATURE:
            check_heap(self, begin, self.length_bytes)
        return size


def check_heap(stream: BinaryIO | io.FileIO, begin: int, length_bytes: int) -> None:
    """Walk through a heap as HDF5 does, which goes by the sizes that it finds.

    Args:
        stream: of the file.
        begin: of the heap in it.
        length_bytes: that lengths have in this file.

    Raises:
        OSError: its objects do not follow one another up to its end.
    """
    at = begin + HEADER
    end = begin + _head(stream, begin, length_bytes)[1]
    for _ in range(MOST_OBJECTS):
        if at + HEADER > end:  # what is left is too short for an object
            return
        number, length = _head(stream, at, length_bytes)
        # Only that of the free rest, which is number 0, counts its head and is a multiple of 8
        step = HEADER + -(-length // 8) * 8 if number else length
        if step < HEADER or at + step > end:
            break
        at += step
    raise OSError("its heap of texts is damaged")


def _head(stream: BinaryIO | io.FileIO, at: int, length_bytes: int) -> tuple[int, int]:
    """Return number and length that a head tells; a heap's own has no number."""
    stream.seek(at)
    head = stream.read(HEADER) or b""
    length = head[LENGTH_AT : LENGTH_AT + length_bytes]
    return int.from_bytes(head[:2], "little"), int.from_bytes(length, "little")
