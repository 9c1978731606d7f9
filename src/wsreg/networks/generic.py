"""The encoder that comes with this package: it has learnt virtual people, and no patient."""

from __future__ import annotations

from pathlib import Path

from wsreg.errors import InputError

GENERIC = "generic"
"""Its name, wherever the folder of an encoder is asked for."""
FOLDER = Path(__file__).parent / "weights" / "generic-encoder"


def encoder_folder(name: Path) -> Path:
    """Return the folder of an encoder, or of the one that comes with this package by its name.

    Raises:
        InputError: there is a folder of that name, too.
    """
    if name != Path(GENERIC):
        return name
    if name.is_dir():
        raise InputError(
            f"{GENERIC} is the encoder that comes with wsreg, and a folder here: give the folder's "
            "whole path, or rename it"
        )
    return FOLDER
