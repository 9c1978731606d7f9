"""A rendered image as a file that other programs read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.whole import staged_file

FloatImage = NDArray[np.float32]


def save_image(image: Tensor, path: str | Path, *, pixel_spacing_mm: tuple[float, float]) -> str:
    """Save an image [H,W] as .npy, .png, .tif/.tiff or .nii/.nii.gz and return how values are kept.

    All but PNG hold float32 as it is; PNG holds 16 bits, scaled to the image's range.
    NIfTI has the axes [columns, rows, 1].

    Args:
        pixel_spacing_mm: (row spacing, column spacing), kept by NIfTI.

    Raises:
        InputError: unknown extension, an image that is not [H,W] or not finite, or a path that
            cannot be written.
    """
    writers: dict[str, Callable[[FloatImage, Path], str]] = {
        ".npy": _write_npy,
        ".png": _write_png16,
        ".tif": _write_tiff,
        ".tiff": _write_tiff,
        ".nii": lambda pixels, to: _write_nifti(pixels, to, pixel_spacing_mm),
        ".nii.gz": lambda pixels, to: _write_nifti(pixels, to, pixel_spacing_mm),
    }
    name = Path(path).name.lower()
    extension = next((e for e in writers if name.endswith(e)), None)
    if extension is None:
        raise InputError(f"image file must end in one of {', '.join(writers)}, got {path}")
    if image.ndim != 2:
        raise InputError(f"image must be [H,W], got {list(image.shape)}")
    if not bool(torch.isfinite(image).all()):
        raise InputError("image must be finite to be saved, it has NaN or infinite pixels")
    with staged_file(path) as temporary:
        return writers[extension](image.detach().cpu().float().numpy(), temporary)


def _write_npy(pixels: FloatImage, path: Path) -> str:
    np.save(path, pixels)
    return "float32 values, [rows, columns]"


def _write_png16(pixels: FloatImage, path: Path) -> str:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    low, high = float(pixels.min()), float(pixels.max())
    scale = (high - low) / 65535 or 1.0
    note = f"value = {low:.9g} + {scale:.9g} * pixel"
    text = PngInfo()
    text.add_text("Description", note)
    Image.fromarray(np.rint((pixels - low) / scale).astype(np.uint16)).save(path, pnginfo=text)
    return f"16-bit pixels, {note}"


def _write_tiff(pixels: FloatImage, path: Path) -> str:
    from PIL import Image

    Image.fromarray(pixels).save(path)
    return "float32 values"


def _write_nifti(pixels: FloatImage, path: Path, pixel_spacing_mm: tuple[float, float]) -> str:
    import nibabel

    row_spacing, column_spacing = pixel_spacing_mm
    image: Any = nibabel.Nifti1Image(
        np.ascontiguousarray(pixels.T)[..., None], np.diag([column_spacing, row_spacing, 1.0, 1.0])
    )
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return "float32 values, axes [columns, rows, 1]"
