"""Candidate outlines of an X-ray field: the best rectangle and the best circle in an image.

Both look for sharp steps: places where the image rises within three pixels and is nearly level on
either side.  That is scale-free, so a faint step beside dense anatomy counts like a strong one
beside lung, and scatter or anatomy, which change slowly, do not count.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.floating]
BoolImage = NDArray[np.bool_]

MAX_SLOPE = 0.3
"""How much of the step's height the image may change by beside the step."""

MIN_SIDE_FRACTION = 0.7
"""Fraction of a rectangle's side that must be a sharp step for the side to count as a blade."""

TILTS_DEG = tuple(range(-12, 13, 2))
"""Rotations of the rectangle that are tried."""

MAX_OFF_CENTRE_PX = 8
"""How far a circle's centre may be from the image's."""

MAX_MISFIT_PX = 1.5
"""Distance up to which a step counts as lying on a circle."""

CIRCLE_CORNERS = 90
"""A circle's outline is given as a polygon of this many corners."""


def sharp_steps(
    far_outside: FloatImage, outside: FloatImage, inside: FloatImage, far_inside: FloatImage
) -> BoolImage:
    """Tell where four samples across an outline form a step upwards, level on both sides of it."""
    step = inside - outside
    slope = np.maximum(np.abs(far_inside - inside), np.abs(far_outside - outside))
    return (step > 0) & (slope < MAX_SLOPE * step)


def best_circle(image: FloatImage) -> FloatImage:
    """Return corners [N,2] (column, row) of the circle where [H,W] ``image`` drops most sharply."""
    from scipy import ndimage

    height, width = image.shape
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    turns = np.arange(2 * CIRCLE_CORNERS) * (math.pi / CIRCLE_CORNERS)
    radii = np.arange(math.hypot(height, width) / 2)
    rays = centre + radii[:, None, None] * _directions(turns)
    polar = ndimage.map_coordinates(
        image, rays[..., ::-1].transpose(2, 0, 1), order=1, mode="nearest"
    )
    drop = _steps_along_first_axis(polar[::-1])[::-1]
    found = drop.max(axis=0) > 0
    radius = _middle_of_peak(drop) + 0.5
    found = drop.max(axis=0) > 0
    if not found.any():
        return np.zeros((0, 2))
    # Where the circle lies beyond the image, rays stop at anatomy: begin with the commonest radius.
    near = np.abs(radius[found, None] - radius[None, found]) < MAX_OFF_CENTRE_PX
    commonest = radius[found][near.sum(axis=0).argmax()]
    points = centre + radius[:, None] * _directions(turns)
    start = found & (np.abs(radius - commonest) < MAX_OFF_CENTRE_PX)
    middle, fitted_radius = _fitted_circle(points[found], points[start])
    return middle + fitted_radius * _directions(turns[::2])


def _fitted_circle(points: FloatImage, start: FloatImage) -> tuple[FloatImage, float]:
    """Fit a circle (centre, radius) through those points [N,2] that the circle ``start`` fits."""
    kept = start
    for _ in range(8):
        system = np.column_stack((2 * kept, np.ones(len(kept))))
        (column, row, rest), *_ = np.linalg.lstsq(system, (kept**2).sum(axis=1), rcond=None)
        middle = np.array([column, row])
        radius = math.sqrt(max(rest + column**2 + row**2, 0.0))
        misfit = np.abs(np.linalg.norm(points - middle, axis=1) - radius)
        close = misfit <= MAX_MISFIT_PX
        kept = points[close] if close.sum() >= len(start) // 2 else start
    return middle, radius


def rectangles(image: FloatImage) -> list[FloatImage]:
    """Yield corners [4,2] (column, row) of the best rectangle in [H,W] ``image`` at each tilt.

    Sides without a blade lie outside the image; a tilt at which no side has one is left out.
    """
    from scipy import ndimage

    height, width = image.shape
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    found = []
    for tilt_deg in TILTS_DEG:
        cos, sin = math.cos(math.radians(tilt_deg)), math.sin(math.radians(tilt_deg))
        turn = np.array([[cos, sin], [-sin, cos]])  # upright (row, column) -> image
        upright = ndimage.affine_transform(
            image, turn, offset=centre - turn @ centre, order=1, mode="nearest"
        )
        sides = _upright_rectangle(upright)
        if sides is not None:
            top, bottom, left, right = sides
            corners = np.array([[top, left], [top, right], [bottom, right], [bottom, left]])
            found.append(((corners - centre) @ turn.T + centre)[:, ::-1])
    return found


def _upright_rectangle(image: FloatImage) -> tuple[float, float, float, float] | None:
    """Return the four blades of an upright field: top, bottom, left, right.

    A blade that is not there lies beyond the image.
    """
    rise = {
        "top": _steps_along_first_axis(image) > 0,
        "bottom": _steps_along_first_axis(image[::-1]) > 0,
        "left": _steps_along_first_axis(image.T) > 0,
        "right": _steps_along_first_axis(image.T[::-1]) > 0,
    }
    depth = dict.fromkeys(rise, 0)  # whole pixels between the image border and the blade
    # Each blade is best seen between the two across it, which in turn are best seen between it.
    for needed in (0.0, MIN_SIDE_FRACTION, MIN_SIDE_FRACTION):
        for side, (start, end) in {
            "top": ("left", "right"),
            "bottom": ("left", "right"),
            "left": ("top", "bottom"),
            "right": ("top", "bottom"),
        }.items():
            steps = rise[side]
            length, across = steps.shape
            profile = steps[: length // 2, depth[start] : across - depth[end]].mean(axis=1)
            peak = int(_middle_of_peak(profile))
            depth[side] = peak if profile[peak] >= needed else 0
    if not any(depth.values()):
        return None
    height, width = image.shape
    away = height + width
    return (
        depth["top"] - 0.5 if depth["top"] else -away,
        height - depth["bottom"] - 0.5 if depth["bottom"] else height + away,
        depth["left"] - 0.5 if depth["left"] else -away,
        width - depth["right"] - 0.5 if depth["right"] else width + away,
    )


def _steps_along_first_axis(image: FloatImage) -> FloatImage:
    """Return height [H,W] of the sharp step between rows i-1 and i, zero where there is none."""
    step = np.zeros_like(image)
    far_outside, outside, inside, far_inside = image[:-7], image[2:-5], image[5:-2], image[7:]
    sharp = sharp_steps(far_outside, outside, inside, far_inside)
    step[4:-3] = np.where(sharp, inside - outside, 0.0)
    return step


def _middle_of_peak(profiles: FloatImage) -> NDArray[np.integer]:
    """Return the peak's index along the first axis: an ideal step is as high at three in a row."""
    from scipy import ndimage

    peak: NDArray[np.integer] = ndimage.uniform_filter1d(profiles, 3, axis=0).argmax(axis=0)
    return peak


def _directions(turns: FloatImage) -> FloatImage:
    return np.stack((np.cos(turns), np.sin(turns)), axis=-1)
