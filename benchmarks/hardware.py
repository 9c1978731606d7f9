"""What a benchmark ran on, in one line."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path

import wsreg


def describe_hardware(threads: int, packages: tuple[str, ...]) -> str:
    """CPU, cores, threads used, versions and date, as one sentence.

    Args:
        threads: how many the benchmark uses.
        packages: distributions whose versions matter.
    """
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    return (
        f"{_cpu_model()}, {os.cpu_count()} cores, {threads} threads; "
        f"Python {platform.python_version()}, {versions}; {datetime.date.today().isoformat()}"
    )


def _version(name: str) -> str:
    """Return a package's version; this one's is that of the code that runs, installed or not."""
    return wsreg.__version__ if name == "wsreg" else version(name)


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
