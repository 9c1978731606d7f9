"""Images in a single file: NIfTI (through nibabel), NRRD and MetaImage (through SimpleITK).

SimpleITK decodes the voxels; where they lie is checked in the header itself, because it fills what
a header lacks with defaults.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.files.reading_from import reading_from
from wsreg.volumes.itk_sizes import check_metaimage_size, check_nrrd_size
from wsreg.volumes.metaimage_header import (
    check_metaimage_placement,
    mm_per_metaimage_unit,
    orientation_doubt,
    read_metaimage_header,
)
from wsreg.volumes.nifti import read_nifti
from wsreg.volumes.nrrd_header import nrrd_placement, read_nrrd_header
from wsreg.volumes.voxel_image import VoxelImage, check_affine, check_is_3d

NIFTI_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img")
NRRD_SUFFIXES = (".nrrd", ".nhdr")
METAIMAGE_SUFFIXES = (".mha", ".mhd")
KNOWN_SUFFIXES = NIFTI_SUFFIXES + NRRD_SUFFIXES + METAIMAGE_SUFFIXES


def has_known_suffix(path: Path) -> bool:
    """Tell whether the file's name ends like an image that :func:`read_image_file` reads."""
    return path.name.lower().endswith(KNOWN_SUFFIXES)


def read_image_file(path: Path) -> VoxelImage:
    """Read a NIfTI, NRRD or MetaImage file; the affine may be oblique, sheared or left-handed.

    Raises:
        InputError: missing, of an unknown kind, damaged, not one 3D image of single numbers, or
            without a usable affine.
    """
    check_image_file(path)
    if path.name.lower().endswith(NIFTI_SUFFIXES):
        image = read_nifti(path)
    else:
        channels, ct_from_voxel, to_mm, notes = read_itk_channels(path)
        if channels.shape[-1] != 1:
            raise InputError(f"{path} must hold one number per voxel, got {channels.shape[-1]}")
        image = VoxelImage(channels[..., 0], ct_from_voxel, tuple(notes), mm_per_unit=to_mm)
    check_affine(image.ct_from_voxel, path)
    return image


def check_image_file(path: Path) -> None:
    """Raise InputError unless the path is a file whose name ends like an image."""
    if path.is_dir():
        raise InputError(f"{path} must be an image file, it is a folder")
    if not path.is_file():
        raise InputError(f"no such image file: {path}")
    if not has_known_suffix(path):
        raise InputError(
            f"{path} must be one of {', '.join(KNOWN_SUFFIXES)} or a DICOM series, "
            f"got the ending {path.suffix!r}"
        )


def read_itk_channels(
    path: Path,
) -> tuple[NDArray[Any], NDArray[np.float64], float, list[str]]:
    """Read an NRRD or MetaImage file.

    Returns:
        Numbers [D,H,W,C] with C numbers for each voxel, the affine from voxel index (x,y,z) to LPS
        millimetres, the factor from the header's unit to them, and what was assumed.

    Raises:
        InputError: damaged, not 3D, or without a place in the patient.
    """
    import SimpleITK

    is_nrrd = path.name.lower().endswith(NRRD_SUFFIXES)
    if is_nrrd:
        header = read_nrrd_header(path)
        ct_from_voxel, to_mm, notes = nrrd_placement(header, path)
        check_nrrd_size(header, path)
    else:
        fields = read_metaimage_header(path)
        check_metaimage_placement(fields, path)
        check_metaimage_size(fields, path)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # what it warns of is looked at here
    with reading_from(path, "is not a readable image"):
        image = SimpleITK.ReadImage(str(path))
    check_is_3d(image.GetSize(), path)
    if not is_nrrd:
        ct_from_voxel, to_mm, notes = _metaimage_placement(image, fields)
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    count = image.GetNumberOfComponentsPerPixel()
    voxels = SimpleITK.GetArrayFromImage(image).reshape(*image.GetSize()[::-1], count)
    return voxels, ct_from_voxel, to_mm, notes


def _metaimage_placement(
    image: Any, fields: dict[str, str]
) -> tuple[NDArray[np.float64], float, list[str]]:
    dimensions = image.GetDimension()
    direction = np.reshape(image.GetDirection(), (dimensions, dimensions))[:3, :3]
    to_mm, notes = mm_per_metaimage_unit(fields)
    ct_from_voxel = np.eye(4)
    ct_from_voxel[:3, :3] = direction * image.GetSpacing()[:3] * to_mm
    ct_from_voxel[:3, 3] = np.array(image.GetOrigin()[:3]) * to_mm
    return ct_from_voxel, to_mm, notes + orientation_doubt(fields, ct_from_voxel)
