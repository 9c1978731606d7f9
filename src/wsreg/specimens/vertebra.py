"""A lumbar vertebra made of simple closed surfaces whose union is the bone.

Local frame, mm: x to the patient's left, y to the back, z up; the origin is the centre of the
vertebral body.  Sizes follow the means of J. L. Berry et al., "A morphometric study of human
lumbar and selected thoracic vertebrae", Spine 12(4), 1987.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsreg.specimens.surface import Surface, unit

FloatArray = NDArray[np.float64]

SIDES = 28
"""Corners of each cross-section."""


@dataclass(frozen=True, kw_only=True)
class VertebraSize:
    """Sizes of the body (mm): width, depth, height at its front and at its back."""

    width_mm: float
    depth_mm: float
    front_mm: float
    back_mm: float


L3 = VertebraSize(width_mm=46.0, depth_mm=34.0, front_mm=28.0, back_mm=27.5)
L4 = VertebraSize(width_mm=48.0, depth_mm=34.5, front_mm=28.0, back_mm=26.5)
L5 = VertebraSize(width_mm=50.5, depth_mm=34.5, front_mm=28.5, back_mm=24.0)


def vertebra(size: VertebraSize) -> tuple[Surface, ...]:
    """Return body, arch and processes of one vertebra in its local frame."""
    half_width, back = 0.5 * size.width_mm, 0.5 * size.depth_mm
    parts = [_body(size), _spinous_process(back)]
    for side in (1.0, -1.0):
        joint = np.array([side * 17.0, back + 13.0, 0.0])

        def from_joint(x: float, y: float, z: float, joint: FloatArray = joint) -> FloatArray:
            moved: FloatArray = joint + np.array([x, y, z])
            return moved

        pedicle_start = np.array([side * 0.62 * half_width, back - 6.0, 5.0])
        parts += [
            tube([pedicle_start, from_joint(0.0, -3.0, 5.0)], [7.0, 6.0], [5.0, 4.8]),
            # the facets above and below, and the bridge between them
            tube(
                [
                    from_joint(side * 2.5, -1.0, 17.0),
                    from_joint(side * 1.5, 0.0, 8.0),
                    from_joint(-side * 1.0, 2.0, -6.0),
                    from_joint(-side * 4.0, 3.0, -20.0),
                ],
                [4.0, 6.5, 5.5, 3.5],
                [5.0, 6.5, 6.0, 4.5],
            ),
            # the lamina
            tube(
                [from_joint(-side * 2.0, 1.0, 0.0), [side * 2.0, back + 22.0, -4.0]],
                [3.2, 3.2],
                [10.0, 9.0],
            ),
            # the transverse process
            tube(
                [
                    from_joint(0.0, -3.0, 5.0),
                    from_joint(side * 14.0, 0.5, 6.0),
                    from_joint(side * 29.0, 3.0, 9.0),
                ],
                [5.0, 3.0, 1.5],
                [6.5, 5.0, 3.5],
            ),
        ]
    return tuple(parts)


def tube(
    centres: Sequence[FloatArray | Sequence[float]],
    radii_across: Sequence[float],
    radii_up: Sequence[float],
) -> Surface:
    """Return a closed tube along a polyline: elliptic sections, round ends.

    Args:
        centres: [n][3] middle line, n >= 2.
        radii_across: half axis of each section, horizontal where the tube is.
        radii_up: the other half axis.
    """
    line = np.asarray(centres, dtype=np.float64)
    parameter = np.linspace(0.0, len(line) - 1.0, 8 * (len(line) - 1) + 1)
    knots = np.arange(len(line))
    centre = np.stack([np.interp(parameter, knots, line[:, axis]) for axis in range(3)], axis=-1)
    across = np.interp(parameter, knots, radii_across)
    up = np.interp(parameter, knots, radii_up)
    start, end = line[0] - line[1], line[-1] - line[-2]
    caps = [
        (centre[0] + unit(start) * min(across[0], up[0]) * np.sin(a), across[0], up[0], np.cos(a))
        for a in np.linspace(1.4, 0.2, 5)
    ]
    ends = [
        (centre[-1] + unit(end) * min(across[-1], up[-1]) * np.sin(a), across[-1], up[-1], c)
        for a, c in ((a, np.cos(a)) for a in np.linspace(0.2, 1.4, 5))
    ]
    middle = [(p, a, u, 1.0) for p, a, u in zip(centre, across, up, strict=True)]
    axis_a, axis_b = _section_axes(line[-1] - line[0])
    angle = np.linspace(0.0, 2.0 * np.pi, SIDES, endpoint=False)
    rings = [
        point
        + scale * a * np.cos(angle)[:, None] * axis_a
        + scale * u * np.sin(angle)[:, None] * axis_b
        for point, a, u, scale in (*caps, *middle, *ends)
    ]
    return _closed(np.stack(rings))


def _body(size: VertebraSize) -> Surface:
    """Return a waisted barrel with a flat back, hollow endplates, higher in front than behind."""
    angle = np.linspace(0.0, 2.0 * np.pi, SIDES * 2, endpoint=False)
    x, y = 0.5 * size.width_mm * np.cos(angle), 0.5 * size.depth_mm * np.sin(angle)
    y = np.where(y > 0.0, 0.82 * y, y)  # the canal flattens the back
    front_to_back = 0.5 + 0.5 * np.sin(angle)
    half_height = 0.5 * (size.front_mm + (size.back_mm - size.front_mm) * front_to_back)
    levels = np.linspace(-1.0, 1.0, 13)
    walls = [
        np.stack((x * w, y * w, level * half_height), axis=-1)
        for level, w in ((level, 0.88 + 0.12 * level**2) for level in levels)
    ]
    hollow = [(fraction, 1.0 - 0.11 * (1.0 - fraction**2)) for fraction in (0.85, 0.6, 0.3)]
    top = [
        np.stack((x * s, y * s, half_height.mean() * d + (half_height - half_height.mean()) * s),
                 axis=-1)
        for s, d in hollow
    ]  # fmt: skip
    bottom = [ring * [1.0, 1.0, -1.0] for ring in reversed(top)]
    return _closed(np.stack([*bottom, *walls, *top]))


def _spinous_process(back: float) -> Surface:
    """Return a plate in the middle plane, pointing back and a little down."""
    return tube(
        [[0.0, back + 19.0, -5.0], [0.0, back + 32.0, -8.0], [0.0, back + 43.0, -10.0]],
        [3.6, 3.0, 4.0],
        [9.0, 10.0, 8.5],
    )


def _section_axes(direction: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return two unit vectors across a direction: one as level as can be, the other upright."""
    along = unit(direction)
    upright = np.array([0.0, 0.0, 1.0]) if abs(along[2]) < 0.8 else np.array([0.0, 1.0, 0.0])
    across = unit(np.cross(upright, along))
    return across, np.cross(along, across)


def _closed(rings: FloatArray) -> Surface:
    """Return the surface through rings [R,S,3], closed by a fan at each end."""
    count, sides, _ = rings.shape
    vertices = np.concatenate((rings.reshape(-1, 3), rings[[0, -1]].mean(axis=1)))
    ring, side = np.meshgrid(np.arange(count - 1), np.arange(sides), indexing="ij")
    a = (ring * sides + side).ravel()
    b = (ring * sides + (side + 1) % sides).ravel()
    first = np.arange(sides)
    last = first + (count - 1) * sides
    fans = [
        np.stack((np.full(sides, centre), rim, np.roll(rim, -1)), axis=-1)
        for centre, rim in ((count * sides, first), (count * sides + 1, last))
    ]
    walls = [np.stack((a, b, b + sides), axis=-1), np.stack((a, b + sides, a + sides), axis=-1)]
    return Surface(vertices_mm=vertices, triangles=np.concatenate((*walls, *fans)))
