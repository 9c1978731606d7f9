"""What the machine refuses where nobody else has found a word for it: files, and memory."""

from __future__ import annotations

import errno
import sys

from wsreg.errors import InputError

REFUSED = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG,
}  # fmt: skip
"""Full disks, files and folders that may not be touched, broken disks, too many open files."""
NO_MEMORY = (
    "failed to map segment", "cannot allocate memory", "can't allocate memory", "not enough memory",
    "out of memory",
)  # fmt: skip
"""In what libraries say, of any case, where memory is not enough."""
LEAST_BYTES = 1.2e9
"""Of addresses: with less, libraries end the process while they are loaded."""


def check_memory_limit() -> None:
    """Check that a limit on this process's memory (ulimit -v) leaves enough to begin with.

    Raises:
        InputError: it does not.
    """
    if sys.platform == "win32":
        return
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < LEAST_BYTES:
        raise InputError(
            f"memory of this process must not be limited to less than {LEAST_BYTES / 1e9:.1f} GB "
            f"(ulimit -v), got {limit / 1e9:.1f} GB"
        )


def machine_error(error: Exception) -> str | None:
    """Return a sentence on what the machine lacks or refuses, or None for any other mistake."""
    if isinstance(error, OSError) and error.errno in REFUSED:
        place = f": {error.filename}" if error.filename is not None else ""
        return f"{error.strerror}{place}"
    text = str(error)
    told = isinstance(error, (ImportError, RuntimeError)) and any(
        sign in text.lower() for sign in NO_MEMORY
    )
    if not told and not isinstance(error, MemoryError):
        return None
    return f"there is not enough memory for this{f' ({text})' if text else ''}"
