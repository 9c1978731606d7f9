"""Read the pixels of an X-ray or a mask from PNG, TIFF, NPY and NIfTI files."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError

PICTURE_SUFFIXES = (".png", ".tif", ".tiff")
NIFTI_SUFFIXES = (".nii", ".nii.gz")
RASTER_SUFFIXES = (*PICTURE_SUFFIXES, ".npy", *NIFTI_SUFFIXES)

GREY_MODES = ("L", "I;16", "I;16B", "I;16L", "I", "F")
"""Pillow's names for one channel of 8, 16 or 32 bits."""


def read_raster(path: Path, *, palette: bool = False) -> NDArray[Any]:
    """Read the [H,W] pixels of a grey image in the type in which they are stored.

    In NIfTI the first axis counts columns and the second rows, as viewers show it: the affine of a
    projection image has no agreed meaning and is not used.

    Args:
        path: of the file.
        palette: whether a picture may have a palette, as label images of many tools do; its pixels
            are the palette's numbers.

    Raises:
        InputError: if the file cannot be read, is in colour or is not one 2D image.
    """
    if path.name.lower().endswith(PICTURE_SUFFIXES):
        return _read_picture(path, (*GREY_MODES, "P", "1") if palette else GREY_MODES)
    if path.name.lower().endswith(".npy"):
        return _read_npy(path)
    return _read_nifti(path)


def read_mask(path: Path, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Read the mask [H,W] in a PNG, TIFF, NPY or NIfTI file: True where pixels are not zero.

    Raises:
        InputError: if the file cannot be read or is not of the X-ray's ``shape`` (H, W).
    """
    if not path.is_file():
        raise InputError(f"mask {path} is not a file")
    name = path.name.lower()
    if name.endswith(PICTURE_SUFFIXES):
        values = _read_picture(path, (*GREY_MODES, "1"))
    elif name.endswith(RASTER_SUFFIXES):
        values = read_raster(path)
    else:
        raise InputError(f"mask {path} must end in one of {', '.join(RASTER_SUFFIXES)}")
    if values.shape != shape:
        raise InputError(
            f"mask {path} must have the X-ray's rows x columns, {shape[0]} x {shape[1]}, "
            f"got {' x '.join(map(str, values.shape))}"
        )
    mask: NDArray[np.bool_] = values != 0
    if not mask.any():
        raise InputError(f"mask {path} must leave some pixels, every one of its pixels is zero")
    return mask


def _read_picture(path: Path, modes: tuple[str, ...]) -> NDArray[Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if picture.mode not in modes:
                raise InputError(
                    f"{path} must be a grey image with one channel of 8, 16 or 32 bits, it is in "
                    f"mode {picture.mode}; convert it, with Pillow's Image.convert('L') for example"
                )
            pages = getattr(picture, "n_frames", 1)
            if pages > 1:
                raise InputError(f"{path} must hold one image, it holds {pages}")
            return np.array(picture)
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not a readable PNG or TIFF image") from error
    except (OSError, SyntaxError, EOFError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged or truncated: {error}") from error


def _read_npy(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} is not a complete NPY file of numbers: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif":
        raise InputError(f"{path} must hold one array of real numbers")
    if array.ndim != 2:
        raise InputError(f"{path} must hold a 2D array [rows, columns], got {list(array.shape)}")
    return array


def _read_nifti(path: Path) -> NDArray[Any]:
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        array = np.asarray(nibabel.load(path).dataobj)
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path} is not a complete NIfTI file: {error}") from error
    extra = array.shape[2:]
    if array.ndim < 2 or any(size != 1 for size in extra):
        raise InputError(
            f"{path} must hold one 2D image [columns, rows] or [columns, rows, 1], "
            f"got {list(array.shape)}"
        )
    if array.dtype.kind not in "buif":
        raise InputError(f"{path} must hold real numbers in one channel, got {array.dtype}")
    return np.ascontiguousarray(array.reshape(array.shape[:2]).T)
