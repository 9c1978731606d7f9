"""Blades and circles that may bound an X-ray's field: found from sharp steps in an image.

A step is sharp where the image rises within three pixels and is nearly level on either side.  That
is scale-free: a faint step beside dense anatomy counts like a strong one beside lung, and scatter
or anatomy, which change slowly, do not count.  Pairs of steps vote for the line or the circle that
both lie on, wherever in or beyond the image it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.floating]
BoolImage = NDArray[np.bool_]

MAX_SLOPE = 0.3
"""How much of the step's height the image may change by beside the step."""

ACROSS_PX = (3.5, 1.5, -1.5, -3.5)
"""Where an outline is crossed, in pixels outwards."""

MAX_STEPS = 600
"""So many steps vote; more are thinned out evenly."""

MAX_PAIRS = 300
"""So many pairs of steps are tried as a line or a circle."""

MAX_LINES, MAX_CIRCLES = 7, 2
"""So many are returned at most, those with the most steps."""

MISFIT_PX, FIRST_MISFIT_PX = 1.2, 3.0
"""Distance up to which a step lies on a shape, and on one that only two steps say."""

ALIGNED = 0.94
"""Cosine from which two directions agree."""

LEVEL = 0.25
"""How far the direction of a pair on one line may be from level, as a sine."""

MIN_TURN = 0.35
"""How much the directions of two steps must differ to say a circle."""

MIN_BULGE_PX = 6.0
"""A flatter arc is no circle but a blade."""

MIN_CHORD_PX = 8.0
"""Steps that are nearer tell nothing about a shape."""

MIN_STEPS = 12
"""A shape lies on at least so many steps."""

SMOOTHING_PX = 1.0
"""For directions of steps."""


@dataclass(frozen=True, kw_only=True)
class Blade:
    """A straight edge: the field is where ``normal`` . (column, row) >= ``offset``."""

    normal: tuple[float, float]
    offset: float

    def inside_px(self, points: FloatImage) -> FloatImage:
        """Return how far points [...,2] are inside."""
        depth: FloatImage = points @ np.array(self.normal) - self.offset
        return depth

    def edge(self, reach_px: float) -> tuple[FloatImage, FloatImage]:
        """Return points [N,2] a pixel apart, and the directions [N,2] to the inside there."""
        normal = np.array(self.normal)
        along = np.arange(-reach_px, reach_px)[:, None] * np.array([-normal[1], normal[0]])
        points = self.offset * normal + along
        return points, np.broadcast_to(normal, points.shape)


@dataclass(frozen=True, kw_only=True)
class Circle:
    """A round edge: the field is within ``radius`` of ``middle`` (column, row)."""

    middle: tuple[float, float]
    radius: float

    def inside_px(self, points: FloatImage) -> FloatImage:
        """Return how far points [...,2] are inside."""
        depth: FloatImage = self.radius - np.linalg.norm(points - np.array(self.middle), axis=-1)
        return depth

    def edge(self, reach_px: float) -> tuple[FloatImage, FloatImage]:
        """Return points [N,2] a pixel apart, and the directions [N,2] to the inside there."""
        turns = np.arange(0, 2 * math.pi, 1 / max(self.radius, 1.0))
        outwards = np.stack((np.cos(turns), np.sin(turns)), axis=-1)
        return np.array(self.middle) + self.radius * outwards, -outwards


Shape = Blade | Circle


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """Sharp steps: places [N,2] (column, row), and directions [N,2] in which they rise."""

    points: FloatImage
    directions: FloatImage

    def kept(self, which: NDArray[np.bool_] | NDArray[np.integer]) -> Steps:
        """Return some of them."""
        return Steps(points=self.points[which], directions=self.directions[which])

    def off(self, blades: Sequence[Blade]) -> Steps:
        """Return those that are on none of some blades."""
        apart = [np.abs(blade.inside_px(self.points)) > FIRST_MISFIT_PX for blade in blades]
        return self.kept(np.all(apart, axis=0)) if apart else self


def sharp_steps(
    far_outside: FloatImage, outside: FloatImage, inside: FloatImage, far_inside: FloatImage
) -> BoolImage:
    """Tell where four samples across an outline form a step upwards, level on both sides of it."""
    step = inside - outside
    slope = np.maximum(np.abs(far_inside - inside), np.abs(far_outside - outside))
    return (step > 0) & (slope < MAX_SLOPE * step)


def across(image: FloatImage, points: FloatImage, directions: FloatImage) -> FloatImage:
    """Return samples [4,N] of an image from outside to inside of an outline at points [N,2]."""
    from scipy import ndimage

    places = points - np.array(ACROSS_PX)[:, None, None] * directions
    samples: FloatImage = ndimage.map_coordinates(
        image, places[..., ::-1].transpose(2, 0, 1), order=1, mode="nearest"
    )
    return samples


def find_steps(image: FloatImage) -> Steps:
    """Return the sharp steps of [H,W] ``image`` that are highest across themselves."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(image, SMOOTHING_PX)
    gradient = np.stack((ndimage.sobel(smooth, 1), ndimage.sobel(smooth, 0)), axis=-1)
    height = np.linalg.norm(gradient, axis=-1)
    rows, columns = np.nonzero(height[2:-2, 2:-2] > 1e-9)
    points = np.stack((columns, rows), axis=-1) + 2.0
    steep = height[rows + 2, columns + 2]
    directions = gradient[rows + 2, columns + 2] / steep[:, None]
    sharp = sharp_steps(*across(image, points, directions))
    points, directions, steep = points[sharp], directions[sharp], steep[sharp]
    before, after = (
        ndimage.map_coordinates(height, (points + side * directions).T[::-1], order=1)
        for side in (-1, 1)
    )
    steps = Steps(points=points, directions=directions).kept((steep >= before) & (steep >= after))
    thinned = np.linspace(0, len(steps.points) - 1, min(MAX_STEPS, len(steps.points)))
    return steps.kept(thinned.astype(int))


def find_blades(steps: Steps) -> list[Blade]:
    """Return the lines on which the most steps lie, one after the other without their steps."""
    distance = _distances(steps.points)
    rise = steps.points @ steps.directions.T  # [i,j]: step i seen along the direction of step j
    own = np.diagonal(rise)
    chord_along_mean = 0.5 * (rise.T - rise + own[None] - own[:, None])
    level = np.abs(chord_along_mean) < LEVEL * distance
    alike = (steps.directions @ steps.directions.T > ALIGNED) & level & (distance > MIN_CHORD_PX)
    found: list[Blade] = []
    left = np.arange(len(steps.points))
    while len(found) < MAX_LINES:
        first, second = _some_pairs(alike, left)
        if len(first) == 0:
            break
        chords = steps.points[second] - steps.points[first]
        normals = np.stack((chords[:, 1], -chords[:, 0]), axis=-1)
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        normals *= np.sign((normals * steps.directions[first]).sum(-1, keepdims=True))
        offsets = (normals * steps.points[first]).sum(-1)
        near = np.abs(steps.points[left] @ normals.T - offsets) <= MISFIT_PX
        on = near & (steps.directions[left] @ normals.T > ALIGNED)
        best = on[:, on.sum(axis=0).argmax()]
        if best.sum() < MIN_STEPS:
            break
        blade, on_blade = _fitted_blade(steps.kept(left), best)
        found.append(blade)
        left = left[~(on_blade | best)]
    return found


def find_circles(steps: Steps) -> list[Circle]:
    """Return the circles on which the most steps lie, one after the other without their steps."""
    distance, turned = _distances(steps.points), _distances(steps.directions)
    rise = steps.points @ steps.directions.T
    own = np.diagonal(rise)
    chord_along_turn = rise + rise.T - own[None] - own[:, None]
    # Of two steps on a circle, the chord is radius times the difference of their directions.
    along = chord_along_turn > ALIGNED * distance * turned
    alike = along & (turned > MIN_TURN) & (distance > MIN_CHORD_PX)
    found: list[Circle] = []
    left = np.arange(len(steps.points))
    while len(found) < MAX_CIRCLES:
        first, second = _some_pairs(alike, left)
        if len(first) == 0:
            break
        radii = distance[first, second] / turned[first, second]
        middles = 0.5 * (
            steps.points[first]
            + steps.points[second]
            + radii[:, None] * (steps.directions[first] + steps.directions[second])
        )
        on = _on_circles(steps.kept(left), middles, radii, FIRST_MISFIT_PX)
        best = on[:, on.sum(axis=0).argmax()]
        if best.sum() < MIN_STEPS:
            break
        circle, on_circle = _fitted_circle(steps.kept(left), best)
        if _is_curved(circle, steps.kept(left).points[on_circle]):
            found.append(circle)
        left = left[~(on_circle | best)]
    return found


def _distances(points: FloatImage) -> FloatImage:
    """Return [N,N] distances between points [N,2]."""
    square = (points**2).sum(axis=1)
    distances: FloatImage = np.sqrt(
        np.maximum(square[:, None] + square[None] - 2 * points @ points.T, 0.0)
    )
    return distances


def _some_pairs(
    alike: BoolImage, left: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return some of the pairs among those left that may belong together, each time the same."""
    first, second = np.nonzero(alike[np.ix_(left, left)])
    if len(first) > MAX_PAIRS:
        drawn = np.random.default_rng(0).choice(len(first), MAX_PAIRS, replace=False)
        first, second = first[drawn], second[drawn]
    return left[first], left[second]


def _on_circles(
    steps: Steps, middles: FloatImage, radii: FloatImage, misfit_px: float
) -> BoolImage:
    """Tell [N,M] which of N steps lie on each of M circles and point to its middle."""
    x, y = (middles[:, axis] - steps.points[:, axis, None] for axis in (0, 1))
    distance = np.hypot(x, y)
    inwards = x * steps.directions[:, :1] + y * steps.directions[:, 1:]
    on: BoolImage = (np.abs(distance - radii) <= misfit_px) & (inwards > ALIGNED * distance)
    return on


def _fitted_blade(steps: Steps, on: BoolImage) -> tuple[Blade, BoolImage]:
    """Fit a line to steps, take those on it, and fit again."""
    for _ in range(4):
        points = steps.points[on]
        middle = points.mean(axis=0)
        normal = np.linalg.svd(points - middle, full_matrices=False)[2][1]
        normal = normal * np.sign(normal @ steps.directions[on].mean(axis=0))
        blade = Blade(normal=(float(normal[0]), float(normal[1])), offset=float(normal @ middle))
        near = np.abs(blade.inside_px(steps.points)) <= MISFIT_PX
        closer = near & (steps.directions @ normal > ALIGNED)
        if closer.sum() < MIN_STEPS:
            break
        on = closer
    return blade, on


def _is_curved(circle: Circle, points: FloatImage) -> bool:
    """Tell whether points [N,2] on a circle could not lie on a line as well."""
    towards = points - np.array(circle.middle)
    middle = towards.mean(axis=0)
    distance = float(np.linalg.norm(middle))
    if distance < 0.5 * circle.radius:  # more than half of the way round
        return True
    return bool(np.ptp(towards @ middle) > MIN_BULGE_PX * distance)


def _fitted_circle(steps: Steps, on: BoolImage) -> tuple[Circle, BoolImage]:
    """Fit a circle to steps, take those on it, and fit again."""
    for misfit_px in (2.0, MISFIT_PX, MISFIT_PX, MISFIT_PX):
        points = steps.points[on]
        system = np.column_stack((2 * points, np.ones(len(points))))
        (column, row, rest), *_ = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)
        radius = math.sqrt(max(rest + column**2 + row**2, 0.0))
        circle = Circle(middle=(float(column), float(row)), radius=radius)
        middle = np.array([[column, row]])
        closer = _on_circles(steps, middle, np.array([radius]), misfit_px)[:, 0]
        if closer.sum() < MIN_STEPS:
            break
        on = closer
    return circle, on
