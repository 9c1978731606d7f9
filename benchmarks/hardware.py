"""What a benchmark ran on, in one line."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version

import wsreg
from wsreg.experiments.hardware import processor


def describe_hardware(threads: int, packages: tuple[str, ...]) -> str:
    """CPU, cores, threads used, versions and date, as one sentence.

    Args:
        threads: how many the benchmark uses.
        packages: distributions whose versions matter.
    """
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    return (
        f"{processor()}, {os.cpu_count()} cores, {threads} threads; "
        f"Python {platform.python_version()}, {versions}; {datetime.date.today().isoformat()}"
    )


def _version(name: str) -> str:
    """Return a package's version; this one's is that of the code that runs, installed or not."""
    return wsreg.__version__ if name == "wsreg" else version(name)
