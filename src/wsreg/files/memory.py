"""What this process may still take of the machine's memory, and whether a file fits into it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from wsreg.errors import InputError

_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes",
     "/sys/fs/cgroup/memory/memory.stat"),
)  # fmt: skip
"""Limit, use and its parts of a container's memory, in both versions of Linux's control groups."""


def free_bytes() -> int:
    """Return how much memory can be taken: of the machine, its container, and this process.

    Where a system does not tell, nothing is held back.
    """
    return min(_of_machine(), _of_container(), _of_process())


def check_fits(needed: int, path: object, says: str, hint: str = "") -> None:
    """Raise InputError unless so many bytes can be taken for what a file says that it holds.

    Args:
        needed: bytes that reading takes.
        path: of the file.
        says: what it says that it holds, such as ``1600 x 1600 x 1600 voxels of int16``.
        hint: what to do about it, after a semicolon.
    """
    free = free_bytes()
    if needed > free:
        raise InputError(
            f"{path} must fit into memory: it says that it holds {says}, which takes "
            f"{in_gigabytes(needed)} to read, and {in_gigabytes(free)} are free"
            + (f"; {hint}" if hint else "")
        )


def in_gigabytes(count: int) -> str:
    """Return bytes in words."""
    return f"{count / 1e9:.1f} GB"


def _of_machine() -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return sys.maxsize


def _of_container() -> int:
    for limit, used, parts in _GROUPS:
        with suppress(OSError, ValueError, IndexError):
            most = int(Path(limit).read_text(encoding="ascii"))  # "max" is none
            taken = int(Path(used).read_text(encoding="ascii"))
            lines = Path(parts).read_text(encoding="ascii").splitlines()
            cached = sum(int(one.split()[1]) for one in lines if one.startswith("inactive_file "))
            return max(0, most - taken + cached)
    return sys.maxsize


def _of_process() -> int:
    """Return what a limit such as that of ``ulimit -v`` leaves."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return sys.maxsize
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return max(0, limit - pages * resource.getpagesize())
    except (ImportError, OSError, ValueError, IndexError):
        return sys.maxsize
