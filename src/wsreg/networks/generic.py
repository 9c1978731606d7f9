"""The encoder that comes with this package: it has learnt virtual people, and no patient."""

from __future__ import annotations

from pathlib import Path

GENERIC = "generic"
"""Its name, wherever the folder of an encoder is asked for; ./generic is a folder of that name."""
FOLDER = Path(__file__).parent / "weights" / "generic-encoder"


def encoder_folder(name: Path) -> Path:
    """Return the folder of an encoder, or of the one that comes with this package by its name."""
    return FOLDER if str(name) == GENERIC else name
