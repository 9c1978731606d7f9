"""Find the part of a radiograph that X-rays reached: inside the collimator, inside any padding.

The field is bounded by straight blades, a circle or both.  Each is a sharp step nearly everywhere
where it bounds the field, with a smooth region beyond it, and is looked for on a grid of square
millimetres.  What lies beyond may be darker or brighter than the field.  If it is as bright or dark
as air, it may be direct exposure around a body rather than a shutter: then the outline has to stay
sharp on a scale on which a body's does not, and be a circle or have a constant value beyond it.
What is written beyond the field does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from wsreg.radiographs.collimator_outline import Outline, sharpest_outline
from wsreg.radiographs.collimator_shapes import BoolImage, FloatImage
from wsreg.radiographs.polarity import centre_contrast, look
from wsreg.radiographs.resample import area_mean, reduced_shape

SEARCH_SIZE_PX = 128
"""Longer side of the reduced image on which the field is searched."""

SMALLEST_SEARCH_PX = 32
"""Images smaller than this are not searched."""

LETTER_STROKE_FRACTION = 0.013
"""Strokes of text are thinner than this fraction of the image's longer side."""

MARGIN_PX = 1
"""How much the field is shrunk, in pixels of the reduced image: half-shadow belongs to neither."""

THIN_RIM = 0.1
"""Contrast of the rim of the field against its middle from which a body may thin out there."""

LOG_OFFSET = 0.01
"""Added to pixel values in 0 to 1 before their logarithm, to keep noise near zero small."""

MIN_CONSTANT_FRACTION = 0.6
"""Of the region beyond the outline, that holds one value if it is a shutter made by a computer."""


def detect_field(
    image: Tensor,
    *,
    bright_is_air: bool | None = None,
    pixel_spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """Find where ``image`` shows the exposed field rather than collimator or padding.

    It finds circles, also cut or off centre, up to four blades at right angles, turned or not, and
    both together.  It is conservative: without a clear outline every pixel is kept.

    Args:
        image: [H,W] finite pixel values, linear or logarithmic, in any unit.
        bright_is_air: the image's polarity, guessed from the image if left out.
        pixel_spacing_mm: (row spacing, column spacing), of which only the ratio counts.

    Returns:
        [H,W] bool, True inside the field, less a margin of about one hundredth of the image.
    """
    everything = torch.ones(image.shape, dtype=torch.bool)
    rows, columns = reduced_shape(image, SEARCH_SIZE_PX, pixel_spacing_mm)
    if min(rows, columns) < SMALLEST_SEARCH_PX:
        return everything
    plain, *wiped = (
        area_mean(one, rows, columns).numpy() for one in _with_letters_wiped(image.float())
    )
    low, high = np.quantile(plain, [0.001, 0.999])
    if high <= low:
        return everything
    views = [np.clip((view - low) / (high - low), 0.0, 1.0) for view in (plain, *wiped)]
    # Scales on which the blocked side is dark: one that shows any collimator's edge as a step,
    # and a strict one on which a body's outline in direct exposure is a slope.
    found = (
        _best_field(views, (_logarithm, _as_it_is), False, bright_is_air),
        _best_field(views, (_negative, _negative_logarithm), True, bright_is_air),
    )
    outlines = [outline for outline in found if outline is not None]
    if not outlines:
        return everything
    return _enlarged(max(outlines, key=lambda outline: outline.sharp_px).field, *image.shape)


def _as_it_is(levels: FloatImage) -> FloatImage:
    return levels


def _negative(levels: FloatImage) -> FloatImage:
    return -levels


def _logarithm(levels: FloatImage) -> FloatImage:
    logarithm: FloatImage = np.log(levels + LOG_OFFSET)
    return logarithm


def _negative_logarithm(levels: FloatImage) -> FloatImage:
    return -_logarithm(levels)


def _with_letters_wiped(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return an image [H,W], and the same without bright and without dark letters."""
    from scipy import ndimage

    size = max(3, round(LETTER_STROKE_FRACTION * max(image.shape)))
    pixels = image.numpy()
    dark = ndimage.minimum_filter(pixels, size)
    bright = ndimage.maximum_filter(pixels, size)
    return (
        image,
        torch.from_numpy(ndimage.maximum_filter(dark, size)),
        torch.from_numpy(ndimage.minimum_filter(bright, size)),
    )


def _best_field(
    views: Sequence[FloatImage],
    scales: Sequence[Callable[[FloatImage], FloatImage]],
    blocked_is_bright: bool,
    bright_is_air: bool | None,
) -> Outline | None:
    """Return the outline of the best field, if there is one.

    Args:
        views: the image [H,W], in 0 to 1, as it is and without letters.
        scales: steep and strict, from 0 to 1 to one on which the blocked side is dark.
        blocked_is_bright: whether it is bright in the image.
        bright_is_air: the image's polarity where it is known.
    """
    levels = views[0]
    for scale in scales:
        found = sharpest_outline([scale(view) for view in views])
        if found is None:
            break
        if not _is_on_air_side(levels, found.field, blocked_is_bright, bright_is_air):
            return found
        if scale is scales[-1] and (found.round or _is_constant_beyond(levels, found.field)):
            return found
    return None


def _is_on_air_side(
    image: FloatImage, field: BoolImage, blocked_is_bright: bool, bright_is_air: bool | None
) -> bool:
    """Tell whether what surrounds the field is where air is on the grey scale, not dense matter.

    Where neither the caller nor the image tells the polarity, what surrounds the field may be the
    air around a body if the field thins out towards it.
    """
    if bright_is_air is None:
        polarity = look(image, field)
        if not polarity.sure:
            clear = _shrunk(field, MARGIN_PX + 1)
            rims = _rim_contrast(image, clear), -centre_contrast(image, clear)
            return min(rim if blocked_is_bright else -rim for rim in rims) >= THIN_RIM
        bright_is_air = polarity.air_is_bright
    return blocked_is_bright == bright_is_air


def _rim_contrast(image: FloatImage, field: BoolImage) -> float:
    """Return how much brighter the field is beside what surrounds it than far from it."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(field)
    rim, middle = field & (depth < 0.15 * depth.max()), depth > 0.5 * depth.max()
    low, high = np.quantile(image[field], [0.01, 0.99]) if field.any() else (0.0, 0.0)
    if high <= low or not rim.any():
        return 0.0
    levels = np.clip((image - low) / (high - low), 0.0, 1.0)
    return float(levels[rim].mean() - levels[middle].mean())


def _is_constant_beyond(image: FloatImage, field: BoolImage) -> bool:
    from scipy import ndimage

    values = image[~ndimage.binary_dilation(field, iterations=3)]
    if values.size == 0:
        return True
    return bool(np.mean(np.abs(values - np.median(values)) < 1e-6) >= MIN_CONSTANT_FRACTION)


def _enlarged(field: BoolImage, height: int, width: int) -> Tensor:
    """Return the small field less its margin, at the image's size."""
    kept = _shrunk(field, MARGIN_PX)
    rows = (np.arange(height) * field.shape[0]) // height
    columns = (np.arange(width) * field.shape[1]) // width
    return torch.from_numpy(kept[rows[:, None], columns])


def _shrunk(field: BoolImage, margin_px: int) -> BoolImage:
    """Return the field [H,W] without a margin, which it does not have at the image's border."""
    from scipy import ndimage

    shrunk: BoolImage = ndimage.binary_erosion(
        field, np.ones((3, 3)), iterations=margin_px, border_value=1
    )
    return shrunk
