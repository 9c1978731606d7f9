"""Tell from an image whether air or bone is bright."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.radiographs.resample import area_mean, reduced_shape

FloatImage = NDArray[np.floating]
BoolImage = NDArray[np.bool_]

GUESS_SIZE_PX = 128
"""Longer side of the reduced image on which the polarity is guessed."""

SURE_CONTRAST = 0.1


@dataclass(frozen=True, kw_only=True)
class Polarity:
    """What an image looks like.

    Args:
        air_is_bright: the likelier polarity.
        sure: whether the image shows it clearly.
    """

    air_is_bright: bool
    sure: bool


def polarity_of(
    pixels: Tensor, field: Tensor, pixel_spacing_mm: tuple[float, float] = (1.0, 1.0)
) -> Polarity:
    """Return :func:`look` of images [H,W] of any size, measured on small copies."""
    rows, columns = reduced_shape(pixels, GUESS_SIZE_PX, pixel_spacing_mm)
    small = area_mean(torch.where(field, pixels.float(), 0.0), rows, columns)
    covered = area_mean(field.float(), rows, columns)
    mean = small / covered.clamp_min(1e-6)
    return look(mean.numpy(), (covered > 0.5).numpy())


def look(image: FloatImage, field: BoolImage) -> Polarity:
    c = centre_contrast(image, field)
    return Polarity(air_is_bright=c <= 0, sure=abs(c) >= SURE_CONTRAST)


def centre_contrast(image: NDArray[np.float32], field: NDArray[np.bool_]) -> float:
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(field, 1))[1:-1, 1:-1]
    middle, rim = depth > 0.5 * depth.max(), field & (depth < 0.15 * depth.max())
    if not rim.any():
        return 0.0
    low, high = np.quantile(image[field], [0.01, 0.99])
    if high <= low:
        return 0.0
    levels = np.clip((image - low) / (high - low), 0.0, 1.0)
    return float(levels[middle].mean() - levels[rim].mean())
