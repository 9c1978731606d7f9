"""What an experiment ran on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import wsreg
from wsreg.threads import thread_count

PACKAGES = ("torch", "numba", "numpy", "scipy", "monai")
"""Whose versions are told, where they are installed."""


def hardware() -> dict[str, str]:
    """Return processor, cores, memory, graphics card and system, as sentences call them."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "Processor": processor(),
        "Cores": f"{os.cpu_count()}, {thread_count()} used by a registration",
        "Memory": _memory(),
        "Graphics card": torch.cuda.get_device_name() if cuda else "none",
        "System": platform.platform(),
    }


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of wsreg, Python and packages; those not installed are left out."""
    found = {"wsreg": wsreg.__version__, "Python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Return the name of the processor as the system knows it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    names = ("SC_PAGE_SIZE", "SC_PHYS_PAGES")
    if not set(names) <= set(getattr(os, "sysconf_names", {})):
        return "not known"
    page, pages = (os.sysconf(name) for name in names)
    return f"{page * pages / 2**30:.0f} GiB"
