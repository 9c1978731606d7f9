"""Label maps: read from a file or a folder, brought onto the CT's grid, and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.files import is_dicom
from wsreg.errors import InputError
from wsreg.volumes.dicom_segmentation import read_segmentation
from wsreg.volumes.grids import check_covered, labelled_mm3, onto_grid, same_grid
from wsreg.volumes.image_files import NIFTI_SUFFIXES, read_image_file
from wsreg.volumes.label_names import names_in_label_table
from wsreg.volumes.mask_folder import read_mask_folder
from wsreg.volumes.nifti import nifti_extensions
from wsreg.volumes.slicer_segmentation import is_slicer_segmentation, read_slicer_segmentation
from wsreg.volumes.voxel_image import VoxelImage

ROUNDING = 1e-3
"""A value this close to a whole number is that number."""


class LabelMap(NamedTuple):
    """The labels of a CT.

    Args:
        values: [D,H,W] uint8 or int16 on the CT's grid.
        names: of label values, as the label map itself says them.
        notes: sentences on what was assumed or settled.
    """

    values: NDArray[Any]
    names: dict[int, str]
    notes: tuple[str, ...]


def read_labels(path: Path, ct: VoxelImage) -> LabelMap:
    """Read labels on the CT's grid (nearest neighbour from another grid), and their names.

    Args:
        path: a label map in a NIfTI, NRRD or MetaImage file, a .seg.nrrd of 3D Slicer, or a folder
            with a mask for each structure.
        ct: on whose grid the labels are wanted.

    Raises:
        InputError: unreadable, values that are no labels, nothing labelled, labels that lie mostly
            outside the CT, or structures that overlap.
    """
    if path.is_dir():
        image, names = read_mask_folder(path, ct)
    else:
        image, names = _read_file(path)
    labels, notes = _whole_labels(image, path)
    if not labels.any():
        raise InputError(f"labels {path} must label something, got only background (0)")
    if not same_grid(image, ct):
        own_mm3 = labelled_mm3(labels, image)
        labels = onto_grid(image._replace(voxels=labels), ct)
        check_covered(labelled_mm3(labels, ct), own_mm3, path)
    return LabelMap(labels, names, (*image.notes, *notes))


def _read_file(path: Path) -> tuple[VoxelImage, dict[int, str]]:
    """Read a label map, and the names within it."""
    if path.is_file() and is_dicom(path):
        return read_segmentation(path)
    if is_slicer_segmentation(path):
        return read_slicer_segmentation(path)
    image = read_image_file(path)
    names: dict[int, str] = {}
    if path.name.lower().endswith(NIFTI_SUFFIXES):
        for content in nifti_extensions(path):
            names |= names_in_label_table(content)
    return image, names


def _whole_labels(image: VoxelImage, path: Path) -> tuple[NDArray[Any], list[str]]:
    """Return the voxels as uint8 or int16, once they pass as labels."""
    values = image.voxels
    smallest, largest = float(values.min()), float(values.max())
    if not (smallest > -ROUNDING and largest < np.iinfo(np.int16).max + ROUNDING):  # nor NaN
        raise InputError(f"labels {path} must lie in 0..32767, got {smallest:g}..{largest:g}")
    kind = np.uint8 if largest < 255 + ROUNDING else np.int16
    if values.dtype.kind in "iu":
        return values.astype(kind, copy=False), []
    whole = np.rint(values)
    off = float(np.abs(values - whole).max())
    scaled = f"the file's slope of {image.slope:g}" if image.slope != 1.0 else ""
    # Single precision knows values above 8192 to no more than this.
    if off > max(ROUNDING, 1e-6 * largest):
        reason = f" ({scaled} makes them so; save whole numbers without a slope)" if scaled else ""
        raise InputError(
            f"labels {path} must be whole numbers, got fractions up to {off:.2g} off{reason}"
        )
    notes = []
    if off:
        because = f" because of {scaled}" if scaled else ""
        notes.append(f"values up to {off:.1g} off whole numbers{because} were rounded to them.")
    return whole.astype(kind), notes
