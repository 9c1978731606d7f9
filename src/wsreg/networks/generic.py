"""The networks that come with this package: they have learnt virtual people, and no patient."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from wsreg.errors import InputError

GENERIC = "generic"
"""Their name, wherever the folder of a network is asked for."""
FOLDER = Path(__file__).parent / "weights" / "generic-encoder"
"""Of the encoder."""
SEGMENTER_FOLDERS = {
    kind: Path(__file__).parent / "weights" / f"generic-{kind}" for kind in ("unet", "medsam")
}
"""Of the networks that find regions, by their kind."""


def encoder_folder(name: Path) -> Path:
    """Return the folder of an encoder, or of the one that comes with this package by its name.

    Raises:
        InputError: there is a folder of that name, too.
    """
    return _folder(name, FOLDER, "encoder")


def segmenter_folder(name: Path, kind: Literal["unet", "medsam"] = "unet") -> Path:
    """Return the folder of a network that finds regions, or of the one that comes with wsreg.

    Raises:
        InputError: there is a folder of that name, too.
    """
    return _folder(name, SEGMENTER_FOLDERS[kind], "U-Net" if kind == "unet" else "MedSAM")


def _folder(name: Path, own: Path, called: str) -> Path:
    if name != Path(GENERIC):
        return name
    if name.is_dir():
        raise InputError(
            f"{GENERIC} is the {called} that comes with wsreg, and a folder here: give the "
            "folder's whole path, or rename it"
        )
    return own
