"""Turn pixel values of any polarity into attenuation, where bone is bright and air is dark."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.errors import InputError
from wsreg.radiographs.polarity import Polarity
from wsreg.radiographs.raw_xray import PixelMeaning
from wsreg.vocabulary import Intensity

DIRECT_EXPOSURE_QUANTILE = 0.999
"""This quantile of the field counts as unattenuated: robust against hot pixels."""

MAX_ATTENUATION = 10.0
"""Line integrals are cut here: less than 1/20000 of the beam is noise or an opaque tool."""

DARKEST = 0.01
"""Part of the direct exposure that the darkest pixels get where the zero is not known."""

BOTH_ARE_TRIED = "registration tries the opposite too, and intensity (--intensity) settles it"
"""What notes say of images whose polarity is open."""

SAMPLE_SIZE = 100_000
"""How many pixels are enough for a quantile."""


def is_air_bright(meaning: PixelMeaning) -> bool:
    """Tell whether pixels of this meaning are the brighter the less the beam was attenuated."""
    return meaning != "attenuation"


def decide_meaning(
    pixels: Tensor,
    field: Tensor,
    *,
    option: Intensity,
    look: Polarity,
    header: PixelMeaning | None = None,
    header_reason: str = "",
    header_disputed: bool = False,
) -> tuple[PixelMeaning, PixelMeaning | None, list[str]]:
    """Decide what pixel values mean, and why: as asked, else by the header, else by the image.

    Where the header contradicts itself or what the image surely looks like, the image decides if it
    is sure, and the opposite stays possible, as it does where nothing but the image tells.  Bright
    air with negative values must be a logarithm already.

    Args:
        pixels: [H,W] pixel values.
        field: [H,W] bool, the exposed part.
        option: what the user asked for.
        look: the polarity that the image seems to have.
        header, header_reason: what the header says, if anything, and where.
        header_disputed: whether the header contradicts itself.

    Returns:
        The meaning, its opposite where that is possible too, and sentences that say why.
    """
    if option != "auto":
        return option, None, [f"Pixel values are {option}, as asked."]
    seen = _meaning_of(pixels, field, look.air_is_bright)
    if header is None:
        note = f"Pixel values are taken for {seen}: {_bright(seen)} looks bright"
        doubt = "" if look.sure else f", but hardly; {BOTH_ARE_TRIED}"
        return seen, _opposite(pixels, field, seen), [f"{note}{doubt}."]
    said = f"Pixel values are {header}: {header_reason}"
    contradicted = look.sure and look.air_is_bright != is_air_bright(header)
    if not contradicted and not header_disputed:
        return header, None, [f"{said}."]
    first = seen if contradicted else header
    other = header if contradicted else _opposite(pixels, field, header)
    doubts = ["its tags contradict each other"] if header_disputed else []
    if contradicted:
        doubts.append(f"{_bright(seen)} looks bright in the image")
    note = (
        f"Warning: the header says that pixel values are {header} ({header_reason}), but "
        f"{' and '.join(doubts)}; they are taken for {first}, {BOTH_ARE_TRIED}."
    )
    return first, other, [note]


def _meaning_of(pixels: Tensor, field: Tensor, air_is_bright: bool) -> PixelMeaning:
    if not air_is_bright:
        return "attenuation"
    dark = np.quantile(_sample(pixels, field), 0.01)
    return "log transmission" if dark < 0 else "transmission"


def _opposite(pixels: Tensor, field: Tensor, meaning: PixelMeaning) -> PixelMeaning:
    return _meaning_of(pixels, field, not is_air_bright(meaning))


def _bright(meaning: PixelMeaning) -> str:
    return "air" if is_air_bright(meaning) else "bone"


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
    if meaning == "transmission":
        offset = _offset(sample)
        values, sample = values + offset, sample + offset
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


def offset_notes(pixels: Tensor, field: Tensor, meaning: PixelMeaning) -> list[str]:
    """Return a sentence on what :func:`to_attenuation` adds to negative transmission, if it does.

    Args:
        pixels, field, meaning: as there.
    """
    offset = _offset(_sample(pixels.float(), field)) if meaning == "transmission" else 0.0
    if not offset:
        return []
    return [
        f"Warning: pixel values are transmission and yet negative; {offset:.5g} was added, "
        "so that the lowest is just above 0."
    ]


def _offset(sample: NDArray[np.float32]) -> float:
    """Return what to add to transmission that is negative by more than noise, else 0."""
    if float(np.quantile(sample, 0.01)) >= 0:
        return 0.0
    lowest = float(sample.min())
    return DARKEST * (float(np.quantile(sample, DIRECT_EXPOSURE_QUANTILE)) - lowest) - lowest


def _sample(values: Tensor, field: Tensor) -> NDArray[np.float32]:
    """Return an even sample [N] of the values in the field, enough for quantiles."""
    flat, inside = values.flatten().numpy(), field.flatten().numpy()
    step = max(1, flat.size // SAMPLE_SIZE)
    sample: NDArray[np.float32] = flat[::step][inside[::step]]
    return sample if sample.size else flat[inside]
