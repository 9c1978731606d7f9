"""Find the part of a radiograph that X-rays reached: inside the collimator, inside any padding.

The field is bounded by straight blades, a circle or both.  Each is a sharp step nearly everywhere
where it bounds the field, with a smooth region beyond it, and is looked for on a grid of square
millimetres.  What lies beyond may be darker or brighter than the field.  If it is as bright or dark
as air, it may be direct exposure around a body rather than a shutter: then it has to be constant,
and the outline has to stay sharp on a scale on which a body's does not.  What is written beyond the
field does not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from wsreg.radiographs.collimator_shapes import (
    Blade,
    BoolImage,
    Circle,
    FloatImage,
    Shape,
    across,
    find_blades,
    find_circles,
    find_steps,
    sharp_steps,
)
from wsreg.radiographs.polarity import centre_contrast, look
from wsreg.radiographs.resample import area_mean, reduced_shape

SEARCH_SIZE_PX = 128
"""Longer side of the reduced image on which the field is searched."""

SMALLEST_SEARCH_PX = 32
"""Images smaller than this are not searched."""

MIN_FIELD_FRACTION = 0.1
"""The field covers at least this fraction of the image."""

MIN_SIDE_FRACTION = 0.7
"""Fraction of each blade or circle, where it bounds the field, that must be a sharp step."""

MIN_SHARP_FRACTION = 0.75
"""Fraction of the whole outline that must be a sharp step."""

MIN_OUTLINE_FRACTION = 0.5
"""Length of the outline within the image, as a fraction of the image's shorter side."""

MIN_SIDE_PX = 8
"""Shorter parts of the outline tell nothing."""

CLEAR_OF_EDGE_PX = 3.5
"""What is looked at along, inside or beyond a shape is so far from others."""

MIN_AGREEMENT = 0.7
"""Fraction of a shape's sharp steps that are inside each other shape of one field."""

ALONG_PX = 5
"""Samples across a shape are averaged over so many along it."""

SQUARE_SINE = 0.1
"""Sine of the angle up to which two blades are parallel, or at a right angle."""

SURE_BLADES = 2
"""So many of the longest blades found are left out when circles are looked for again."""

MAX_SIDES = 5
"""Shapes that bound a field."""

MAX_ROUGHNESS = 0.3
"""How much the region beyond the outline may change within three pixels, against the step."""

MAX_ROUGHNESS_WIPED = 0.12
"""The same where letters were wiped out, which makes anything smoother."""

CHANGE_SMOOTHING_PX = 2.0
"""Noise is no change."""

SMOOTH_FRACTION = 0.9
"""Of the region beyond the outline, that must be so smooth."""

LETTER_STROKE_FRACTION = 0.013
"""Strokes of text are thinner than this fraction of the image's longer side."""

MARGIN_PX = 1
"""How much the field is shrunk, in pixels of the reduced image: half-shadow belongs to neither."""

THIN_RIM = 0.1
"""Contrast of the rim of the field against its middle from which a body may thin out there."""

NOISE_PX, STRUCTURE_PX = 1.0, (2.0, 5.0)
"""Standard deviations of Gaussians: noise is finer than the first, anatomy between the others."""

SMALLEST_NOISE = 1e-4

MIN_STRUCTURE_RATIO = 1.2
"""The side of a single edge that shows so much more anatomy against its noise is the field."""

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

    It finds circles, also cut or off centre, up to four blades at right angles, turned as they may
    be, and both together.  It is conservative: where there is no clear outline, every pixel is kept.

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
    fields = [one for one in found if one is not None]
    return _enlarged(max(fields, key=lambda one: one[0])[1], *image.shape) if fields else everything


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
) -> tuple[int, BoolImage] | None:
    """Return how many sharp steps bound the best field [H,W], and that field, if there is one.

    Args:
        views: the image [H,W], in 0 to 1, as it is and without letters.
        scales: steep and strict, from 0 to 1 to one on which the blocked side is dark.
        blocked_is_bright: whether it is bright in the image.
        bright_is_air: the image's polarity where it is known.
    """
    levels = views[0]
    for scale in scales:
        found = _sharpest_outline([scale(view) for view in views])
        if found is None:
            break
        if not _is_on_air_side(levels, found[1], blocked_is_bright, bright_is_air):
            return found
        if scale is scales[-1] and _is_constant_beyond(levels, found[1]):
            return found
    return None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Side:
    """A shape that may bound the field.

    Args:
        depth: [H,W] how far pixels are inside it.
        points: [N,2] (column, row) along it in the image, a pixel apart.
        sharp: [N] where it is a sharp step.
        roughness: of the image beyond it, against its step: 1 is as much as there may be.
        shape: itself.
    """

    depth: FloatImage
    points: FloatImage
    sharp: BoolImage
    roughness: float
    shape: Shape


def _sharpest_outline(views: Sequence[FloatImage]) -> tuple[int, BoolImage] | None:
    """Return how many sharp steps the best outline has, and the field, if there is one.

    The best one has the most sharp steps, of those that are sharp enough all around; shapes that
    hardly add to them are left out.
    """
    image = views[0]
    steps = find_steps(image)
    changes = [_change(view) for view in views]
    blades = find_blades(steps)
    # Where a blade cuts a circle, its steps bend the circle's fit.
    circles = [*find_circles(steps), *find_circles(steps.off(blades[:SURE_BLADES]))]
    shapes: list[Shape] = [*circles, *blades]
    sides = [side for shape in shapes if (side := _side(image, changes, shape)).roughness <= 1]
    agree = [[_agree(one, other) for other in sides] for one in sides]
    best: tuple[int, BoolImage] | None = None
    for count in range(1, MAX_SIDES + 1):
        for chosen in combinations(range(len(sides)), count):
            if not all(agree[i][j] and agree[j][i] for i, j in combinations(chosen, 2)):
                continue
            sharp, field = _bounded(image, [sides[i] for i in chosen])
            # One more shape has to add what cannot be chance.
            if sharp >= (MIN_SIDE_PX if best is None else best[0] + MIN_SIDE_PX):
                best = sharp, field
    return best


def _side(image: FloatImage, changes: Sequence[FloatImage], shape: Shape) -> _Side:
    """Look along a shape; ``changes`` are those of the image with and without letters."""
    from scipy import ndimage

    points, inwards = shape.edge(2.0 * sum(image.shape))
    within = np.all((points > 1) & (points < np.array(image.shape[::-1]) - 2), axis=1)
    samples = across(image, points[within], inwards[within])
    if samples.size:  # Noise is no slope: less of it without blurring the step.
        samples = ndimage.uniform_filter1d(samples, ALONG_PX, axis=1, mode="nearest")
    sharp = sharp_steps(*samples)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    depth = shape.inside_px(np.stack((columns, rows), axis=-1))
    step = float(np.median((samples[2] - samples[1])[sharp])) if sharp.any() else 0.0
    beyond = depth < -CLEAR_OF_EDGE_PX
    if not beyond.any():
        beyond = depth < 0
    rough = [float(np.quantile(change[beyond], SMOOTH_FRACTION)) for change in changes]
    limits = (MAX_ROUGHNESS, MAX_ROUGHNESS_WIPED, MAX_ROUGHNESS_WIPED)
    roughness = min(r / max(limit * step, 1e-9) for r, limit in zip(rough, limits, strict=True))
    return _Side(depth=depth, points=points[within], sharp=sharp, roughness=roughness, shape=shape)


def _change(image: FloatImage) -> FloatImage:
    """Return [H,W] how much an image changes within three pixels."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(image, CHANGE_SMOOTHING_PX)
    change: FloatImage = np.hypot(
        *(ndimage.correlate1d(smooth, [-1, 0, 0, 1], axis) for axis in (0, 1))
    )
    return change


def _is_closed_enough(sides: Sequence[_Side]) -> bool:
    """Tell whether an outline shows by its shape on which side the field is."""
    return len(sides) > 2 or any(isinstance(side.shape, Circle) for side in sides)


def _shows_more(image: FloatImage, field: BoolImage) -> bool:
    """Tell whether the field shows more structure, against its noise, than what is beyond it.

    Of one or two straight edges either side may be the field, or both belong to it.
    """
    from scipy import ndimage

    ratios = []
    for side in (field, ~field):
        clear = ndimage.binary_erosion(side, iterations=MARGIN_PX + 2, border_value=1)
        if not clear.any():
            return False
        # The nearest pixels go on beyond the edge, so that it is no structure.
        nearest = ndimage.distance_transform_edt(
            ~clear, return_distances=False, return_indices=True
        )
        filled = image[tuple(nearest)]
        noise = np.abs(filled - ndimage.gaussian_filter(filled, NOISE_PX))[clear]
        fine, coarse = (ndimage.gaussian_filter(filled, size) for size in STRUCTURE_PX)
        structure = np.abs(fine - coarse)[clear]
        ratios.append(np.median(structure) / (np.median(noise) + SMALLEST_NOISE))
    return bool(ratios[0] > MIN_STRUCTURE_RATIO * ratios[1])


def _agree(one: _Side, other: _Side) -> bool:
    """Tell whether a side's sharp steps are inside another, as if both bound one field.

    There is one circle at most, and blades are parallel or at right angles.
    """
    if isinstance(one.shape, Circle) and isinstance(other.shape, Circle):
        return one is other
    if isinstance(one.shape, Blade) and isinstance(other.shape, Blade):
        cosine = abs(np.dot(one.shape.normal, other.shape.normal))
        if SQUARE_SINE < cosine < math.sqrt(1 - SQUARE_SINE**2):
            return False
    inside = other.shape.inside_px(one.points[one.sharp]) > -CLEAR_OF_EDGE_PX
    return bool(inside.size and inside.mean() >= MIN_AGREEMENT)


def _bounded(image: FloatImage, sides: Sequence[_Side]) -> tuple[int, BoolImage]:
    """Return how many sharp steps the sides' common outline has, 0 if it is none, and its field."""
    field = np.all([side.depth >= 0 for side in sides], axis=0)
    parts = []
    for side in sides:
        clear = np.ones(side.sharp.shape, dtype=bool)
        for other in sides:
            if other is not side:
                clear &= other.shape.inside_px(side.points) > CLEAR_OF_EDGE_PX
        parts.append(side.sharp[clear])
        if parts[-1].size < MIN_SIDE_PX or parts[-1].mean() < MIN_SIDE_FRACTION:
            return 0, field
    outline = np.concatenate(parts)
    good = (
        outline.size >= MIN_OUTLINE_FRACTION * min(image.shape)
        and outline.mean() >= MIN_SHARP_FRACTION
        and field.mean() >= MIN_FIELD_FRACTION
        and (_is_closed_enough(sides) or _shows_more(image, field))
    )
    return int(outline.sum()) if good else 0, field


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
            rim = -centre_contrast(image, _shrunk(field, MARGIN_PX + 1))
            return (rim if blocked_is_bright else -rim) >= THIN_RIM
        bright_is_air = polarity.air_is_bright
    return blocked_is_bright == bright_is_air


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
