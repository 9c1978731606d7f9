"""Read the pixels of an X-ray or a mask from PNG, TIFF, NPY and NIfTI files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.pixels import check_xray_size
from wsreg.errors import InputError
from wsreg.files.arrays import read_array
from wsreg.radiographs.picture_files import Raster, Use, read_picture
from wsreg.volumes.nifti_voxels import open_nifti, scaled, stored_numbers

PICTURE_SUFFIXES = (".png", ".tif", ".tiff")
NIFTI_SUFFIXES = (".nii", ".nii.gz")
RASTER_SUFFIXES = (*PICTURE_SUFFIXES, ".npy", *NIFTI_SUFFIXES)


def read_raster(path: Path, use: Use = "image") -> Raster:
    """Read the [H,W] pixels of a grey image in the type in which they are stored.

    In NIfTI the first axis counts columns and the second rows, as viewers show it: the affine of a
    projection image has no agreed meaning and is not used.

    Args:
        path: of the file.
        use: what the pixels of a picture are; those of ``labels`` may have a palette, as many tools
            write them: its numbers are the pixels.

    Raises:
        InputError: if the file cannot be read, is in colour or is not one 2D image.
    """
    if path.name.lower().endswith(PICTURE_SUFFIXES):
        return read_picture(path, use)
    return Raster(_read_npy(path) if path.name.lower().endswith(".npy") else _read_nifti(path))


def read_mask(path: Path, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Read the mask [H,W] in a PNG, TIFF, NPY or NIfTI file: True where pixels are not zero.

    Raises:
        InputError: if the file cannot be read or is not of the X-ray's ``shape`` (H, W).
    """
    if not path.is_file():
        said = "is a folder" if path.is_dir() else "is not a file"
        raise InputError(f"mask {path} {said}")
    if not path.name.lower().endswith(RASTER_SUFFIXES):
        raise InputError(f"mask {path} must end in one of {', '.join(RASTER_SUFFIXES)}")
    values = read_raster(path, "mask").pixels
    if values.shape != shape:
        raise InputError(
            f"mask {path} must have the X-ray's rows x columns, {shape[0]} x {shape[1]}, "
            f"got {' x '.join(map(str, values.shape))}"
        )
    mask: NDArray[np.bool_] = values != 0
    if not mask.any():
        raise InputError(f"mask {path} must leave some pixels, every one of its pixels is zero")
    return mask


def _read_npy(path: Path) -> NDArray[Any]:
    array = read_array(path, "is not a complete NPY file of numbers")
    if array.dtype.kind not in "buif":
        raise InputError(f"{path} must hold one array of real numbers")
    if array.ndim != 2:
        raise InputError(f"{path} must hold a 2D array [rows, columns], got {list(array.shape)}")
    check_xray_size(array.shape[0], array.shape[1], path)
    return array


def _read_nifti(path: Path) -> NDArray[Any]:
    image = open_nifti(path)
    shape = image.shape
    if len(shape) < 2 or any(size != 1 for size in shape[2:]):
        raise InputError(
            f"{path} must hold one 2D image [columns, rows] or [columns, rows, 1], "
            f"got {list(shape)}"
        )
    check_xray_size(shape[1], shape[0], path)
    numbers = scaled(stored_numbers(image, path), image)
    return np.ascontiguousarray(numbers.reshape(shape[:2], order="F").T)
