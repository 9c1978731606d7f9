"""Errors that are the machine's: what it lacks, said in one sentence."""

from __future__ import annotations

import errno

OF_THE_MACHINE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.EMFILE, errno.ENFILE,
}  # fmt: skip
"""Full disks, folders and files that may not be touched, broken disks, too many open files."""
OUT_OF_MEMORY = "allocate memory"
"""In what torch, which has no MemoryError, says."""


def machine_error(error: Exception) -> str | None:
    """Return a sentence on an error of the machine, or None if it is of another kind."""
    if isinstance(error, MemoryError):
        return f"there is not enough memory for this ({error})" if str(error) else _NO_MEMORY
    if isinstance(error, RuntimeError) and OUT_OF_MEMORY in str(error):
        return _NO_MEMORY
    if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
        place = f": {error.filename}" if error.filename is not None else ""
        return f"{error.strerror}{place}"
    return None


_NO_MEMORY = "there is not enough memory for this"
