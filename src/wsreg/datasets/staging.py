"""HDF5 files that appear under their name only when they are whole, also when the disk is full."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from wsreg.files.whole import staged_file, writing_to

CheckDisk = Callable[[], None]


@contextmanager
def staged_hdf5(path: Path) -> Iterator[tuple[h5py.File, CheckDisk]]:
    """Give a new HDF5 file, and a function that raises when the disk has refused something.

    The file becomes ``path`` when the block succeeds; until then it is a hidden one beside it.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    with staged_file(path) as temporary:
        disk = _Disk(temporary)

        def check_disk() -> None:
            if disk.refused is not None:
                with writing_to(path):
                    raise disk.refused

        try:
            with h5py.File(disk, "w") as file:
                yield file, check_disk
        finally:
            disk.close()
        check_disk()


class _Disk(io.RawIOBase):
    """What HDF5 writes to.  It crashes the process if that fails, so the error is kept here."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self.refused: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of it, or note why not; later writes are then left out."""
        rest = memoryview(data).cast("B")
        with self._noting():
            while len(rest) and self.refused is None:
                rest = rest[self._file.write(rest) :]
        return len(data)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, with zeros where nothing could be written."""
        target = memoryview(buffer).cast("B")
        done = 0
        while done < len(target) and (count := self._file.readinto(target[done:])):
            done += count
        target[done:] = bytes(len(target) - done)
        return len(target)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        return self._file.seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        with self._noting():
            self._file.truncate(size)
        return size or 0

    def close(self) -> None:
        """Close the file; some file systems say only then that the disk is full."""
        with self._noting():
            self._file.close()
        super().close()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.refused = self.refused or error
