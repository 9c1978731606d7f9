"""Read a CT, and the labels that belong to it, from any of the usual file formats."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.files import is_dicom
from wsreg.errors import InputError
from wsreg.volumes.dicom_series import read_dicom_series
from wsreg.volumes.image_files import read_image_file
from wsreg.volumes.labels import read_label_names, read_labels
from wsreg.volumes.voxel_image import VoxelImage

if TYPE_CHECKING:
    from wsreg.volumes.volume import Volume

LOWEST_HU, HIGHEST_HU = -32768.0, 65535.0
"""Scanner padding goes down to -32768; metal on the extended 16-bit scale up to 64511."""

LEAST_HU_RANGE = 100.0
"""Fat and muscle alone span more; images scaled to 0..1 or -1..1 span less."""


def read_volume(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    label_names: Mapping[int, str] | str | os.PathLike[str] | None = None,
    *,
    series_uid: str | None = None,
) -> Volume:
    """Read a CT.

    Args:
        path: a NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd) file, a
            folder with a DICOM series, or one file of that series.
        labels: a label map (a file as above); on another grid it is taken over by nearest
            neighbour.
        label_names: name of each label value, or a .json or .csv file with them.
        series_uid: which series, where a DICOM folder holds several.

    Returns:
        Hounsfield units [D,H,W] = (z,y,x), int16 where the values are whole numbers that fit and
        float32 otherwise, with the affine from voxel index (x,y,z) to LPS millimetres.
        Left-handed, oblique and sheared grids are kept as they are.

    Raises:
        InputError: a file is missing, damaged or of another kind; not one 3D image; no usable
            affine; values that cannot be Hounsfield units; labels that do not fit the CT.
    """
    image = _read_ct(Path(path), series_uid)
    hu = _as_hounsfield(image.voxels, path)
    if labels is None and label_names is not None:
        raise InputError("label_names needs labels, got names without a label map")
    label_map = None if labels is None else read_labels(Path(labels), image)
    names = read_label_names(label_names)
    # Not before: torch takes a second to load, which another thread may do while this one unpacks.
    import torch

    from wsreg.volumes.volume import Volume

    return Volume(
        hu=torch.from_numpy(hu),
        ct_from_voxel=torch.from_numpy(image.ct_from_voxel),
        labels=None if label_map is None else torch.from_numpy(label_map),
        label_names=names,
        notes=image.notes,
    )


def _read_ct(path: Path, series_uid: str | None) -> VoxelImage:
    if path.is_dir() or is_dicom(path):
        return read_dicom_series(path, series_uid)
    if series_uid is not None:
        raise InputError(f"series_uid chooses within a DICOM folder, got {path}")
    return read_image_file(path)


def _as_hounsfield(voxels: NDArray[Any], source: object) -> NDArray[Any]:
    """Return the voxels as int16 or float32, once they pass as Hounsfield units."""
    lowest, highest = float(voxels.min()), float(voxels.max())
    whole_numbers = voxels.dtype.kind in "iu"
    if not whole_numbers and not np.isfinite(voxels.sum(dtype=np.float64)):
        raise InputError(f"{source} must hold finite Hounsfield units, got NaN or infinite voxels")
    if lowest == highest:
        raise InputError(f"{source} must hold a CT, got the same value {lowest:g} everywhere")
    if lowest < LOWEST_HU or highest > HIGHEST_HU:
        raise InputError(
            f"{source} must hold Hounsfield units within {LOWEST_HU:g}..{HIGHEST_HU:g}, "
            f"got {lowest:g}..{highest:g}"
        )
    if highest - lowest < LEAST_HU_RANGE or lowest >= 0:
        raise InputError(
            f"{source} must hold Hounsfield units (air -1000, water 0), "
            f"got {lowest:g}..{highest:g} "
            "(scaled for display, or the rescale intercept not applied?)"
        )
    if highest <= np.iinfo(np.int16).max:
        whole = voxels.astype(np.int16)
        if whole_numbers or np.array_equal(whole, voxels):
            return whole
    return voxels.astype(np.float32)
