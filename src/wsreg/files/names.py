"""What a file is called without its ending."""

from __future__ import annotations

from pathlib import Path


def stem(path: Path) -> str:
    """Return the name of a file without its ending, which may be a double one, ``.nii.gz``."""
    return path.name[:-7] if path.name.lower().endswith(".nii.gz") else path.stem
