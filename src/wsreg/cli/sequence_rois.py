"""Regions of interest of the frames of a sequence: those that a folder has masks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsreg.cli.regions import PROBABILITIES_FILE, Regions
from wsreg.errors import InputError

if TYPE_CHECKING:
    from wsreg.radiographs.frame_files import FrameFiles
    from wsreg.segmentation.rois import RoiTarget
    from wsreg.volumes.volume import Volume

SUFFIXES = (".png", ".tif", ".tiff", ".npy", ".nii.gz", ".nii", ".npz")
NAMES_SHOWN = 5


def frame_rois(
    options: Regions, frames: FrameFiles, volume: Volume, *, several: bool
) -> tuple[Sequence[RoiTarget | None] | None, list[str]]:
    """Return the regions of each frame, None where there is no mask, and what to say of it.

    A mask is DIR/NAME.png (or another image), or DIR/NAME/probabilities.npz as ``wsreg segment``
    writes it, where NAME is the frame's.

    Raises:
        InputError: masks of none of the frames, no labels, or several views.
    """
    if options.roi is None:
        return None, []
    folder = Path(options.roi)
    if several:
        raise InputError("--roi is for the frames of one view, got it with a rig")
    if volume.labels is None:
        raise InputError("--roi needs the label map of the CT (--labels) to compare with")
    files = [mask_of(folder, name) for name in frames.source.names]
    lacking = [name for name, file in zip(frames.source.names, files, strict=True) if file is None]
    if len(lacking) == len(files):
        raise InputError(
            f"--roi {folder} must hold masks named after frames, such as "
            f"{frames.source.names[0]}.png, it holds none"
        )
    return _read(files, options, frames, volume), _said(lacking, len(files))


def check_folder(options: Regions) -> None:
    """Refuse regions that come from anything but a folder of masks.

    Raises:
        InputError: they do.
    """
    if options.roi is not None and not Path(options.roi).is_dir():
        raise InputError(
            "--roi must be a folder of masks for a sequence, each named after its frame (such as "
            f"frame-3.png), got {options.roi}"
        )


def mask_of(folder: Path, name: str) -> Path | None:
    """Return the mask of a frame, if there is one."""
    tried = [folder / f"{name}{suffix}" for suffix in SUFFIXES]
    tried.append(folder / name / PROBABILITIES_FILE)
    return next((path for path in tried if path.is_file()), None)


def _read(
    files: Sequence[Path | None], options: Regions, frames: FrameFiles, volume: Volume
) -> list[RoiTarget | None]:
    from wsreg.segmentation.masks import read_rois
    from wsreg.volumes.label_names import read_label_names

    names = None if options.roi_names is None else read_label_names(options.roi_names)
    rows, columns = frames.first.image.shape
    return [None if f is None else read_rois(f, (rows, columns), volume, names) for f in files]


def _said(lacking: Sequence[str], count: int) -> list[str]:
    if not lacking:
        return []
    shown = ", ".join(lacking[:NAMES_SHOWN]) + (", ..." if len(lacking) > NAMES_SHOWN else "")
    return [f"{len(lacking)} of {count} frames have no mask and go without: {shown}."]
