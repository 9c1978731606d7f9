"""The outline of an X-ray's field: which of the blades and circles found bound it together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

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

CLEAR_OF_NOISE_PX = 3
"""Noise and structure are compared so far from the edge."""

NOISE_PX, STRUCTURE_PX = 1.0, (2.0, 5.0)
"""Standard deviations of Gaussians: noise is finer than the first, anatomy between the others."""

SMALLEST_NOISE = 1e-4

MIN_STRUCTURE_RATIO = 1.2
"""The side of a single edge that shows so much more anatomy against its noise is the field."""


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """A field and how well its outline is seen.

    Args:
        field: [H,W] pixels inside it.
        sharp_px: length of its outline that is a sharp step.
        round: whether a circle is part of it.
    """

    field: BoolImage
    sharp_px: int
    round: bool


def sharpest_outline(views: Sequence[FloatImage]) -> Outline | None:
    """Return the best outline of a field, if there is one.

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
    found = [_side(image, changes, shape) for shape in shapes]
    sides = [side for side in found if side is not None and side.roughness <= 1]
    agree = [[_agree(one, other) for other in sides] for one in sides]
    best: Outline | None = None
    for count in range(1, MAX_SIDES + 1):
        for chosen in combinations(range(len(sides)), count):
            if not all(agree[i][j] and agree[j][i] for i, j in combinations(chosen, 2)):
                continue
            outline = _outline(image, [sides[i] for i in chosen])
            # One more shape has to add what cannot be chance.
            least = MIN_SIDE_PX if best is None else best.sharp_px + MIN_SIDE_PX
            if outline is not None and outline.sharp_px >= least:
                best = outline
    return best


def _side(image: FloatImage, changes: Sequence[FloatImage], shape: Shape) -> _Side | None:
    """Look along a shape that crosses the image.

    Args:
        image: [H,W] on which the blocked side is dark.
        changes: [H,W] of the image as it is, without bright and without dark letters.
        shape: what may bound the field.
    """
    from scipy import ndimage

    points, inwards = shape.edge(2.0 * sum(image.shape))
    within = np.all((points > 1) & (points < np.array(image.shape[::-1]) - 2), axis=1)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    depth = shape.inside_px(np.stack((columns, rows), axis=-1))
    beyond = depth < -CLEAR_OF_EDGE_PX
    beyond = beyond if beyond.any() else depth < 0
    if within.sum() < MIN_SIDE_PX or not beyond.any():
        return None
    # Noise is no slope: less of it without blurring the step.
    samples = ndimage.uniform_filter1d(
        across(image, points[within], inwards[within]), ALONG_PX, axis=1, mode="nearest"
    )
    sharp = sharp_steps(*samples)
    step = float(np.median((samples[2] - samples[1])[sharp])) if sharp.any() else 0.0
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
        clear = ndimage.binary_erosion(side, iterations=CLEAR_OF_NOISE_PX, border_value=1)
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


def _outline(image: FloatImage, sides: Sequence[_Side]) -> Outline | None:
    """Return the outline that sides have together, if it is one of a field."""
    parts = []
    for side in sides:
        clear = np.ones(side.sharp.shape, dtype=bool)
        for other in sides:
            if other is not side:
                clear &= other.shape.inside_px(side.points) > CLEAR_OF_EDGE_PX
        parts.append(side.sharp[clear])
        if parts[-1].size < MIN_SIDE_PX or parts[-1].mean() < MIN_SIDE_FRACTION:
            return None
    sharp = np.concatenate(parts)
    field = np.all([side.depth >= 0 for side in sides], axis=0)
    good = (
        sharp.size >= MIN_OUTLINE_FRACTION * min(image.shape)
        and sharp.mean() >= MIN_SHARP_FRACTION
        and field.mean() >= MIN_FIELD_FRACTION
        and (_is_closed_enough(sides) or _shows_more(image, field))
    )
    has_circle = any(isinstance(side.shape, Circle) for side in sides)
    return Outline(field=field, sharp_px=int(sharp.sum()), round=has_circle) if good else None
