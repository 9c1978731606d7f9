"""Turn pixel values of any polarity into attenuation, where bone is bright and air is dark."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.errors import InputError
from wsreg.radiographs.raw_xray import PixelMeaning
from wsreg.radiographs.resample import area_mean, reduced_shape
from wsreg.vocabulary import Intensity

DIRECT_EXPOSURE_QUANTILE = 0.999
"""This quantile of the field counts as unattenuated: robust against hot pixels."""

MAX_ATTENUATION = 10.0
"""Line integrals are cut here: less than 1/20000 of the beam is noise or an opaque tool."""

SURE_CONTRAST = 0.1
"""Contrast of the middle against the rim of the field from which a guess counts as sure."""

GUESS_SIZE_PX = 128
"""Longer side of the reduced image on which the polarity is guessed."""

SAMPLE_SIZE = 100_000
"""How many pixels are enough for a quantile."""


def is_air_bright(meaning: PixelMeaning) -> bool:
    """Tell whether pixels of this meaning are the brighter the less the beam was attenuated."""
    return meaning != "attenuation"


def other_meaning(pixels: Tensor, field: Tensor, meaning: PixelMeaning) -> PixelMeaning | None:
    """Return the opposite of a meaning guessed from the image, unless the guess is sure.

    Args:
        pixels: [H,W] pixel values.
        field: [H,W] bool, the exposed part.
        meaning: as guessed.
    """
    if abs(reduced_contrast(pixels, field)) >= SURE_CONTRAST:
        return None
    if meaning != "attenuation":
        return "attenuation"
    dark = np.quantile(_sample(pixels, field), 0.01)
    return "log transmission" if dark < 0 else "transmission"


def decide_meaning(
    pixels: Tensor,
    field: Tensor,
    *,
    option: Intensity,
    header: PixelMeaning | None,
    header_reason: str,
) -> tuple[PixelMeaning, list[str]]:
    """Decide what pixel values mean, and why: as asked, else by the header, else by the image.

    From the image, a bright middle of the field means attenuation and a bright rim transmission
    (see :func:`centre_contrast`); bright air with negative values must be a logarithm already.

    Args:
        pixels: [H,W] pixel values.
        field: [H,W] bool, the exposed part.
        option: what the user asked for.
        header, header_reason: what the header says, if anything, and where.
    """
    if option != "auto":
        return option, [f"Pixel values are {option}, as asked."]
    contrast = reduced_contrast(pixels, field)
    looks_attenuation = contrast > 0
    sure = abs(contrast) >= SURE_CONTRAST
    if header is not None:
        notes = [f"Pixel values are {header}: {header_reason}."]
        if sure and looks_attenuation == is_air_bright(header):
            notes.append(
                "Warning: the image looks like the opposite polarity; if it is, say so with "
                f"intensity (--intensity {'attenuation' if looks_attenuation else 'transmission'})."
            )
        return header, notes
    meaning: PixelMeaning = "attenuation" if looks_attenuation else "transmission"
    if meaning == "transmission" and np.quantile(_sample(pixels, field), 0.01) < 0:
        meaning = "log transmission"
    seen = "middle" if looks_attenuation else "rim"
    note = f"Pixel values are taken for {meaning}: the {seen} of the field is the brighter part"
    doubt = (
        ", but hardly; registration tries the opposite too, and intensity (--intensity) settles it."
    )
    return meaning, [note + ("." if sure else doubt)]


def to_attenuation(pixels: Tensor, field: Tensor, meaning: PixelMeaning) -> Tensor:
    """Return [H,W] float32 attenuation, proportional to the line integral up to an offset.

    Args:
        pixels: [H,W] pixel values.
        field: [H,W] bool, the exposed part, in which the direct exposure is looked for.
        meaning: how pixel values relate to intensity.

    Raises:
        InputError: if transmission has no positive values.
    """
    values = pixels.float()
    if meaning == "attenuation":
        return values
    sample = _sample(values, field)
    exposure = float(np.quantile(sample, DIRECT_EXPOSURE_QUANTILE))
    if meaning == "log transmission":
        return (exposure - values).clamp_min(0.0)
    if exposure <= 0:
        raise InputError(
            "intensity transmission needs positive pixel values, "
            f"{DIRECT_EXPOSURE_QUANTILE:.1%} of them are at most {exposure:g}"
        )
    # Zero stands for anything below half of the smallest value that was told apart from it.
    smallest = float(sample[sample > 0].min())
    floor = max(exposure * math.exp(-MAX_ATTENUATION), smallest / 2)
    return math.log(exposure) - torch.log(values.clamp(floor, exposure))


def reduced_contrast(pixels: Tensor, field: Tensor) -> float:
    """Return :func:`centre_contrast` of images [H,W] of any size, measured on small copies."""
    rows, columns = reduced_shape(pixels, GUESS_SIZE_PX)
    small = area_mean(torch.where(field, pixels.float(), 0.0), rows, columns)
    covered = area_mean(field.float(), rows, columns)
    mean = small / covered.clamp_min(1e-6)
    return centre_contrast(mean.numpy(), (covered > 0.5).numpy())


def centre_contrast(image: NDArray[np.float32], field: NDArray[np.bool_]) -> float:
    """Return how much brighter the middle of the field is than its rim, in -1 to 1.

    A body is thickest where it is imaged, near the middle, and thins out or gives way to air or
    lung towards the rim: the answer is positive for attenuation, negative for transmission.

    Args:
        image: [H,W] pixel values of a small image.
        field: [H,W] bool, the part to look at.
    """
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


def _sample(values: Tensor, field: Tensor) -> NDArray[np.float32]:
    """Return an even sample [N] of the values in the field, enough for quantiles."""
    flat, inside = values.flatten().numpy(), field.flatten().numpy()
    step = max(1, flat.size // SAMPLE_SIZE)
    sample: NDArray[np.float32] = flat[::step][inside[::step]]
    return sample if sample.size else flat[inside]
