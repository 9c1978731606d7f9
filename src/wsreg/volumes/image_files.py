"""Images in a single file: NIfTI (through nibabel), NRRD and MetaImage (through SimpleITK)."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.volumes.voxel_image import VoxelImage, check_affine, check_is_3d

NIFTI_SUFFIXES = (".nii", ".nii.gz")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
KNOWN_SUFFIXES = NIFTI_SUFFIXES + ITK_SUFFIXES

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
MM_PER_UNIT = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}


def has_known_suffix(path: Path) -> bool:
    """Tell whether the file's name ends like an image that :func:`read_image_file` reads."""
    return path.name.lower().endswith(KNOWN_SUFFIXES)


def read_image_file(path: Path) -> VoxelImage:
    """Read a NIfTI, NRRD or MetaImage file; the affine may be oblique, sheared or left-handed.

    Raises:
        InputError: missing, of an unknown kind, damaged, not one 3D image of single numbers, or
            without a usable affine.
    """
    if not path.is_file():
        raise InputError(f"no such image file: {path}")
    if not has_known_suffix(path):
        raise InputError(
            f"{path} must be one of {', '.join(KNOWN_SUFFIXES)} or a DICOM series, "
            f"got the ending {path.suffix!r}"
        )
    is_nifti = path.name.lower().endswith(NIFTI_SUFFIXES)
    image = _read_nifti(path) if is_nifti else _read_itk(path)
    check_affine(image.ct_from_voxel, path)
    return image


def _read_nifti(path: Path) -> VoxelImage:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nibabel.load(path)
        if image.get_data_dtype().kind not in "iuf":
            raise InputError(f"{path} must hold one number per voxel, got {image.get_data_dtype()}")
        check_is_3d(image.shape, path)
        _check_has_orientation(image.header, path)
        voxels = np.ascontiguousarray(image.dataobj.get_unscaled().reshape(image.shape[:3]).T)
    except (OSError, EOFError, zlib.error, ImageFileError, HeaderDataError) as error:
        raise InputError(f"{path} is not a readable NIfTI file: {error}") from error
    slope, intercept = image.dataobj.slope, image.dataobj.inter
    if (slope, intercept) != (1, 0):
        voxels = _scaled(voxels, float(slope), float(intercept))
    to_mm = MM_PER_UNIT[image.header.get_xyzt_units()[0]]
    ct_from_voxel = LPS_FROM_RAS @ np.diag([to_mm, to_mm, to_mm, 1.0]) @ image.affine
    return VoxelImage(voxels, ct_from_voxel)


def _scaled(voxels: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """Apply slope and intercept; nibabel would do so in float64: twice the time and memory."""
    small_whole = voxels.dtype.kind in "iu" and voxels.itemsize <= 2
    if small_whole and slope == 1 and intercept.is_integer() and abs(intercept) < 2**30:
        whole: NDArray[Any] = np.add(voxels, int(intercept), dtype=np.int32)
        return whole
    scaled = voxels.astype(np.float32)
    scaled *= slope
    scaled += intercept
    return scaled


def _check_has_orientation(header: Any, path: Path) -> None:
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        raise InputError(
            f"{path} must say how its voxels lie in the patient, "
            "but its sform_code and qform_code are both 0"
        )


def _read_itk(path: Path) -> VoxelImage:
    import SimpleITK

    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} is not a readable image: {last_line(error)}") from error
    check_is_3d(image.GetSize(), path)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            f"{path} must hold one number per voxel, got {image.GetNumberOfComponentsPerPixel()}"
        )
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    ct_from_voxel = np.eye(4)
    ct_from_voxel[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    ct_from_voxel[:3, 3] = image.GetOrigin()
    return VoxelImage(SimpleITK.GetArrayFromImage(image), ct_from_voxel)


def last_line(error: Exception) -> str:
    """Return the line of an ITK error that says what went wrong."""
    return str(error).strip().splitlines()[-1].strip()
