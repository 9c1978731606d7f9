"""Read a CT, and the labels that belong to it, from any of the usual file formats."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.files import is_dicom
from wsreg.errors import InputError
from wsreg.files.names import as_path
from wsreg.vocabulary import CtIntensity
from wsreg.volumes.dicom_series import read_dicom_series
from wsreg.volumes.grey_scale import to_hounsfield
from wsreg.volumes.high_padding import without_high_padding
from wsreg.volumes.image_files import read_image_file
from wsreg.volumes.label_names import read_label_names
from wsreg.volumes.labels import read_labels
from wsreg.volumes.plausible_hu import hounsfield_doubt
from wsreg.volumes.voxel_image import VoxelImage, check_patient_size

if TYPE_CHECKING:
    from wsreg.volumes.volume import Volume

LOWEST_HU, HIGHEST_HU = -32768.0, 65535.0
"""Scanner padding goes down to -32768; metal on the extended 16-bit scale up to 64511."""

LEAST_HU_RANGE = 100.0
"""Fat and muscle alone span more; images scaled to 0..1 or -1..1 span less."""

CBCT_HINT = "a cone-beam CT with grey values of its own needs --ct-intensity cbct (intensity)"


def read_volume(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    label_names: Mapping[int, str] | str | os.PathLike[str] | None = None,
    *,
    series_uid: str | None = None,
    intensity: CtIntensity = "hu",
    scale: tuple[float, float] | None = None,
) -> Volume:
    """Read a CT.

    Args:
        path: a NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd) file, a
            folder with a DICOM series, or one file of that series.
        labels: a label map (a NIfTI, NRRD or MetaImage file, a .seg.nrrd of 3D Slicer, or a DICOM
            segmentation), or a folder with a mask for each structure, as TotalSegmentator writes
            them; on another grid it is taken over by nearest neighbour.
        label_names: name of each label value, or a file with them (see
            :func:`~wsreg.volumes.label_names.read_label_names`); they win over names within the
            label map.
        series_uid: which series, where a DICOM folder holds several.
        intensity: what the voxels are: Hounsfield units (``hu``), or the grey values of a cone-beam
            CT (``cbct``), which are scaled by the peaks of air and soft tissue in their histogram.
        scale: the grey values of air and of water, for ``cbct``, where the histogram does not tell.

    Returns:
        Hounsfield units [D,H,W] = (z,y,x), int16 where the values are whole numbers that fit and
        float32 otherwise, with the affine from voxel index (x,y,z) to LPS millimetres.
        Left-handed, oblique and sheared grids are kept as they are.

    Raises:
        InputError: a file is missing, damaged or of another kind; not one 3D image; no usable
            affine; a size that no patient has; values that cannot be Hounsfield units; labels that
            do not fit the CT.
    """
    if intensity not in get_args(CtIntensity):
        raise InputError(f"intensity must be one of {get_args(CtIntensity)}, got {intensity!r}")
    if scale is not None and intensity != "cbct":
        raise InputError("scale (--ct-scale) needs intensity cbct (--ct-intensity cbct), got hu")
    if labels is None and label_names is not None:
        raise InputError("label_names needs labels, got names without a label map")
    names = read_label_names(label_names)
    image = _read_ct(as_path(path, "CT", "Volume(hu=...) holds an array"), series_uid)
    check_patient_size(image, path)
    _check_numbers(image.voxels, path)
    if intensity == "cbct":
        hu, note = to_hounsfield(image.voxels, scale, path)
    else:
        hu, note = _as_hounsfield(image.voxels, path)
    notes = (*image.notes, note) if note else image.notes
    label_map = None
    if labels is not None:
        label_map = read_labels(Path(labels), image)
        names = names or label_map.names
        notes += tuple(f"Labels: {note}" for note in label_map.notes if note not in notes)
    # Not before: torch takes a second to load, which another thread may do while this one unpacks.
    import torch

    from wsreg.volumes.volume import Volume

    return Volume(
        hu=torch.from_numpy(hu),
        ct_from_voxel=torch.from_numpy(image.ct_from_voxel),
        labels=None if label_map is None else torch.from_numpy(label_map.values),
        label_names=names,
        notes=notes,
    )


def _read_ct(path: Path, series_uid: str | None) -> VoxelImage:
    if path.is_dir() or is_dicom(path):
        return read_dicom_series(path, series_uid)
    if series_uid is not None:
        raise InputError(f"series_uid chooses within a DICOM folder, got {path}")
    return read_image_file(path)


def _check_numbers(voxels: NDArray[Any], source: object) -> None:
    """Raise InputError for voxels that are no numbers, or all the same."""
    if voxels.dtype.kind == "f" and not np.isfinite(voxels.sum(dtype=np.float64)):
        count = int(np.count_nonzero(~np.isfinite(voxels)))
        raise InputError(
            f"{source} must hold finite Hounsfield units, got {count} NaN or infinite voxels"
        )
    if voxels.min() == voxels.max():
        raise InputError(
            f"{source} must hold a CT, got the same value {float(voxels.min()):g} everywhere"
        )


def _as_hounsfield(voxels: NDArray[Any], source: object) -> tuple[NDArray[Any], str]:
    """Return the voxels as int16 or float32, once they pass as Hounsfield units, and a note."""
    note = ""
    lowest = float(voxels.min())
    if lowest < 0:
        voxels, note = without_high_padding(voxels)
    whole_numbers, highest = voxels.dtype.kind in "iu", float(voxels.max())
    if lowest < LOWEST_HU or highest > HIGHEST_HU:
        raise InputError(
            f"{source} must hold Hounsfield units within {LOWEST_HU:g}..{HIGHEST_HU:g}, "
            f"got {lowest:g}..{highest:g}; {CBCT_HINT}"
        )
    if highest - lowest < LEAST_HU_RANGE or lowest >= 0:
        raise InputError(
            f"{source} must hold Hounsfield units (air -1000, water 0), "
            f"got {lowest:g}..{highest:g} "
            f"(scaled for display, or the rescale intercept not applied?); {CBCT_HINT}"
        )
    doubt = hounsfield_doubt(voxels)
    if doubt:
        raise InputError(
            f"{source} must hold Hounsfield units (air -1000, water 0), but {doubt} "
            f"(wrong rescale slope or intercept?); {CBCT_HINT}, with --ct-scale -1000 0 it is "
            "taken as it is"
        )
    if highest <= np.iinfo(np.int16).max:
        whole = voxels.astype(np.int16)
        if whole_numbers or np.array_equal(whole, voxels):
            return whole, note
    return voxels.astype(np.float32), note
