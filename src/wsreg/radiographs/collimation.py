"""Find the part of a radiograph that X-rays reached: inside the collimator, inside any padding.

The field is the rectangle or circle whose outline is a sharp step nearly everywhere, with a
smooth region beyond it.  What lies beyond may be darker or brighter than the field.  If it is as
bright or dark as air, it may be direct exposure around a body rather than a shutter: then it has
to be constant, and the outline has to stay sharp on a scale on which a body's does not.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wsreg.radiographs.collimator_shapes import (
    BoolImage,
    FloatImage,
    best_circle,
    rectangles,
    sharp_steps,
)
from wsreg.radiographs.intensity import SURE_CONTRAST, centre_contrast
from wsreg.radiographs.resample import area_mean, reduced_shape

SEARCH_SIZE_PX = 128
"""Longer side of the reduced image on which the field is searched."""

SMALLEST_SEARCH_PX = 32
"""Images smaller than this are not searched."""

MIN_FIELD_FRACTION = 0.1
"""The field covers at least this fraction of the image."""

MIN_SHARP_FRACTION = 0.75
"""Fraction of the outline that must be a sharp step."""

MIN_OUTLINE_FRACTION = 0.5
"""Length of the outline within the image, as a fraction of the image's shorter side."""

MAX_ROUGHNESS = 0.3
"""How much the region beyond the outline may change within three pixels, against the step."""

MARGIN_PX = 1
"""How much the field is shrunk, in pixels of the reduced image: half-shadow belongs to neither."""

LOG_OFFSET = 0.01
"""Added to pixel values in 0 to 1 before their logarithm, to keep noise near zero small."""


def detect_field(image: Tensor, *, bright_is_air: bool | None = None) -> Tensor:
    """Find where ``image`` shows the exposed field rather than collimator or padding.

    It finds rectangles, also with missing sides or turned by up to 12 degrees, and circles.  It
    is conservative: where there is no clear outline, every pixel is kept.

    Args:
        image: [H,W] finite pixel values, linear or logarithmic, in any unit.
        bright_is_air: the image's polarity, guessed from the image if left out.

    Returns:
        [H,W] bool, True inside the field, less a margin of about one hundredth of the image.
    """
    everything = torch.ones(image.shape, dtype=torch.bool)
    rows, columns = reduced_shape(image, SEARCH_SIZE_PX)
    if min(rows, columns) < SMALLEST_SEARCH_PX:
        return everything
    small = area_mean(image.float(), rows, columns).numpy()
    low, high = np.quantile(small, [0.001, 0.999])
    if high <= low:
        return everything
    small = np.clip((small - low) / (high - low), 0.0, 1.0)
    logarithm = np.log(small + LOG_OFFSET)
    # Scales on which the blocked side is dark: one that shows any collimator's edge as a step,
    # and a strict one on which a body's outline in direct exposure is a slope.
    fraction, field = max(
        _best_field(small, logarithm, small, False, bright_is_air),
        _best_field(small, -small, -logarithm, True, bright_is_air),
        key=lambda found: found[0],
    )
    return _enlarged(field, *image.shape) if fraction > 0 else everything


def _best_field(
    levels: FloatImage,
    steep: FloatImage,
    strict: FloatImage,
    blocked_is_bright: bool,
    bright_is_air: bool | None,
) -> tuple[float, BoolImage]:
    """Return how sharp the outline of the best field [H,W] is, 0 without one, and that field."""
    for scale in (steep, strict):
        fraction, outline = _sharpest_outline(scale)
        if fraction < MIN_SHARP_FRACTION:
            break
        field = _filled(outline, levels.shape)
        if field.mean() < MIN_FIELD_FRACTION or not _is_smooth_beyond(scale, outline, field):
            continue
        if not _is_on_air_side(levels, field, blocked_is_bright, bright_is_air):
            return fraction, field
        if scale is strict and _is_constant_beyond(levels, field):
            return fraction, field
    return 0.0, np.ones(levels.shape, dtype=bool)


def _sharpest_outline(image: FloatImage) -> tuple[float, FloatImage]:
    """Return fraction of sharp steps and corners [N,2] of an image's best rectangle or circle."""
    outlines = [*rectangles(image), best_circle(image)]
    fractions = [_sharp_fraction(image, outline) for outline in outlines]
    best = int(np.argmax(fractions))
    return fractions[best], outlines[best]


def _is_on_air_side(
    image: FloatImage, field: BoolImage, blocked_is_bright: bool, bright_is_air: bool | None
) -> bool:
    """Tell whether what surrounds the field is where air is on the grey scale, not dense matter.

    Where the polarity is open and the field's rim is no brighter or darker than its middle, what
    surrounds it cannot be the air around a body, which thins out towards its outline.
    """
    if bright_is_air is None:
        contrast = centre_contrast(image, field)
        if abs(contrast) < SURE_CONTRAST:
            return False
        bright_is_air = contrast < 0
    return blocked_is_bright == bright_is_air


def _is_smooth_beyond(image: FloatImage, outline: FloatImage, field: BoolImage) -> bool:
    """Tell whether an image changes less beyond the outline than across it.

    Blades show no anatomy.
    """
    from scipy import ndimage

    beyond = _beyond(field)
    if not beyond.any():
        return True
    smooth = ndimage.uniform_filter(image, 3)
    change = np.hypot(*(ndimage.correlate1d(smooth, [-1, 0, 0, 1], axis) for axis in (0, 1)))
    _, outside, inside, _ = _across(image, outline)
    step = np.median(inside - outside)
    return bool(np.quantile(change[beyond], 0.9) <= MAX_ROUGHNESS * step)


def _is_constant_beyond(image: FloatImage, field: BoolImage) -> bool:
    values = image[_beyond(field)]
    return values.size == 0 or bool(np.ptp(values) < 1e-6)


def _beyond(field: BoolImage) -> BoolImage:
    """Return what surrounds the field, clear of the half-shadow at its edge."""
    from scipy import ndimage

    clear: BoolImage = ~ndimage.binary_dilation(field, iterations=3)
    return clear


def _sharp_fraction(image: FloatImage, outline: FloatImage) -> float:
    """Return which fraction of a convex outline, within the image, is a sharp step upwards."""
    samples = _across(image, outline)
    if samples.shape[1] < MIN_OUTLINE_FRACTION * min(image.shape):
        return 0.0
    return float(np.mean(sharp_steps(*samples)))


def _across(image: FloatImage, outline: FloatImage) -> FloatImage:
    """Sample [4,N] from 3.5 pixels outside to 3.5 inside, at points about a pixel apart."""
    from scipy import ndimage

    edges = np.roll(outline, -1, axis=0) - outline
    lengths = np.linalg.norm(edges, axis=1)
    counts = np.maximum(1, np.round(lengths)).astype(int)
    edge = np.repeat(np.arange(len(outline)), counts)
    along = np.concatenate([(np.arange(n) + 0.5) / n for n in counts] or [np.zeros(0)])
    points = outline[edge] + along[:, None] * edges[edge]
    normals = np.stack((edges[:, 1], -edges[:, 0]), axis=1) / lengths[:, None]  # outwards
    within = np.all((points > 1) & (points < np.array(image.shape[::-1]) - 2), axis=1)
    offsets = np.array([3.5, 1.5, -1.5, -3.5])[:, None, None]
    samples = points[within] + offsets * normals[edge][within]
    values: FloatImage = ndimage.map_coordinates(
        image, samples[..., ::-1].transpose(2, 0, 1), order=1, mode="nearest"
    )
    return values


def _filled(outline: FloatImage, shape: tuple[int, ...]) -> BoolImage:
    """Return [H,W] pixels inside a convex outline."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    inside = np.full(shape, len(outline) > 0)
    for (x, y), (next_x, next_y) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        inside &= (next_x - x) * (rows - y) >= (next_y - y) * (columns - x)
    return inside


def _enlarged(field: BoolImage, height: int, width: int) -> Tensor:
    """Return the small field less its margin, at the image's size."""
    from scipy import ndimage

    kept = ndimage.binary_erosion(field, np.ones((3, 3)), iterations=MARGIN_PX, border_value=1)
    rows = (np.arange(height) * field.shape[0]) // height
    columns = (np.arange(width) * field.shape[1]) // width
    return torch.from_numpy(kept[rows[:, None], columns])
