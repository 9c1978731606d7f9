"""A torso made of formulas, for when there is no CT at hand: soft tissue, gas and labelled bones.

Coordinates are LPS millimetres about the middle of the body: x to the patient's left, y to the
back, z to the head.  Left and right differ in size and height, so that one frontal X-ray tells
the pose from its mirror image.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsreg.volumes.volume import Volume

SPACING_MM = 2.0
SIZE_XYZ = (160, 120, 160)

AIR_HU, LUNG_HU, GAS_HU, FAT_HU, MUSCLE_HU, HEART_HU = -1000, -820, -950, -90, 40, 55
CORTICAL_HU, TRABECULAR_HU = 1100, 250
CORTEX_MM, SKIN_FAT_MM = 3.0, 12.0

Point = tuple[float, float, float]
Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """A solid: ``depth_mm(x, y, z)`` is about the distance to its surface, negative outside."""

    low: Point
    high: Point
    depth_mm: Callable[[Array, Array, Array], Array]


def analytic_phantom() -> Volume:
    """Make a labelled torso from the lower ribs to the thighs, on a 2 mm grid.

    Returns:
        hu [160,120,160] int16 with air outside the body, labels uint8 with TotalSegmentator's
        names, the middle of the grid at (0,0,0) mm.
    """
    shape = SIZE_XYZ[::-1]
    hu = np.full(shape, AIR_HU, dtype=np.int16)
    labels = np.zeros(shape, dtype=np.uint8)
    for solid, surface_hu, inner_hu, surface_mm in _soft_parts():
        _fill(hu, solid, surface_hu, inner_hu, surface_mm)
    names = {}
    for value, (name, solids) in enumerate(_bones().items(), start=1):
        names[value] = name
        for solid in solids:
            _fill(hu, solid, CORTICAL_HU, TRABECULAR_HU, CORTEX_MM)
            _fill(labels, solid, value, value, 0.0)
    ct_from_voxel = torch.diag(torch.tensor([SPACING_MM] * 3 + [1.0], dtype=torch.float64))
    ct_from_voxel[:3, 3] = torch.tensor([-SPACING_MM * (n - 1) / 2 for n in SIZE_XYZ])
    return Volume(
        hu=torch.from_numpy(hu),
        ct_from_voxel=ct_from_voxel,
        labels=torch.from_numpy(labels),
        label_names=names,
    )


def _fill(
    image: Array,
    solid: _Shape,
    surface: int,
    inner: int,
    surface_mm: float,
) -> None:
    """Write a solid into the image: one value near its surface, another inside."""
    window, axes = [], []
    for low, high, count in zip(solid.low, solid.high, SIZE_XYZ, strict=True):
        middle = (count - 1) / 2
        first = max(0, int(np.floor(low / SPACING_MM + middle)))
        last = min(count, int(np.ceil(high / SPACING_MM + middle)) + 1)
        window.append(slice(first, last))
        axes.append((np.arange(first, last, dtype=np.float32) - np.float32(middle)) * SPACING_MM)
    x, y, z = axes
    depth = solid.depth_mm(x[None, None, :], y[None, :, None], z[:, None, None])
    part = image[tuple(reversed(window))]
    np.copyto(part, surface, where=depth >= 0, casting="unsafe")
    np.copyto(part, inner, where=depth >= surface_mm, casting="unsafe")


def _soft_parts() -> Iterator[tuple[_Shape, int, int, float]]:
    """Return solids in painting order with surface HU, inner HU and surface thickness."""
    yield _column((0, 0, 0), (150, 102), 200), FAT_HU, MUSCLE_HU, SKIN_FAT_MM
    yield _ellipsoid((-66, -5, 150), (50, 68, 78)), LUNG_HU, LUNG_HU, 0.0
    yield _ellipsoid((64, -5, 156), (46, 66, 68)), LUNG_HU, LUNG_HU, 0.0
    yield _ellipsoid((24, -38, 128), (44, 40, 38)), HEART_HU, HEART_HU, 0.0
    yield _ellipsoid((56, -50, 66), (26, 20, 15)), GAS_HU, GAS_HU, 0.0
    yield _ellipsoid((-92, -25, 12), (16, 18, 30)), GAS_HU, GAS_HU, 0.0
    yield _ellipsoid((34, -60, -12), (22, 15, 11)), GAS_HU, GAS_HU, 0.0
    yield _ellipsoid((-22, -55, -38), (13, 12, 17)), GAS_HU, GAS_HU, 0.0


def _bones() -> dict[str, list[_Shape]]:
    """Return the solids of each bone, by name."""
    bones: dict[str, list[_Shape]] = defaultdict(list)
    heights_mm = {"L5": -36.0, "L4": -1.0, "L3": 35.0, "L2": 71.0, "L1": 105.0, "T12": 137.0}
    for name, z in heights_mm.items():
        x, y = 4.0 * np.sin(z / 55.0), 34.0 + z * z / 900.0
        bones[f"vertebrae_{name}"] = [
            _column((x, y, z), (24, 17), 13),
            _rod((x - 36, y + 16, z + 2), (x + 36, y + 16, z + 2), 4.5),
            _ellipsoid((x, y + 34, z - 6), (4, 17, 11)),
        ]
    bones["sacrum"] = [
        _ellipsoid((0, 58, -80), (42, 19, 40)),
        _rod((0, 72, -112), (3, 64, -140), 6.0),
    ]
    for side, size, lift_mm in (("left", 1.0, 0.0), ("right", 0.95, -5.0)):
        sign = size if side == "left" else -size
        bones[f"hip_{side}"] = _hip(sign, lift_mm)
        bones[f"femur_{side}"] = _femur(sign, lift_mm)
        for number, z in ((9, 150.0), (10, 122.0), (11, 94.0), (12, 66.0)):
            bones[f"rib_{side}_{number}"] = [_rib(sign, z + lift_mm)]
    return bones


def _hip(sign: float, lift_mm: float) -> list[_Shape]:
    """Return iliac wing, socket, ischium and the two rami that close the obturator foramen."""

    def at(x: float, y: float, z: float) -> Point:
        return sign * x, y, z + lift_mm

    return [
        _wing(sign, lift_mm),
        _socket(at(84, 5, -98), 26.0, 34.0, sign),
        _rod(at(76, 28, -108), at(60, 40, -150), 12.0),
        _rod(at(70, -15, -96), at(10, -58, -116), 8.0),
        _rod(at(10, -58, -120), at(58, 34, -152), 6.5),
    ]


def _femur(sign: float, lift_mm: float) -> list[_Shape]:
    """Return head, neck, greater trochanter and the beginning of the shaft."""

    def at(x: float, y: float, z: float) -> Point:
        return sign * x, y, z + lift_mm

    return [
        _ellipsoid(at(84, 5, -98), (24, 24, 24)),
        _rod(at(84, 5, -98), at(112, 8, -120), 14.0),
        _ellipsoid(at(118, 12, -124), (14, 17, 18)),
        _rod(at(114, 10, -126), at(106, 4, -200), 15.0),
    ]


def _ellipsoid(centre: Point, radii: Point) -> _Shape:
    def depth_mm(x: Array, y: Array, z: Array) -> Array:
        scaled = [(p - c) / r for p, c, r in zip((x, y, z), centre, radii, strict=True)]
        return (1 - np.sqrt(sum(s * s for s in scaled))) * min(radii)

    return _boxed(centre, radii, depth_mm)


def _column(centre: Point, radii: tuple[float, float], half_height: float) -> _Shape:
    """Return an upright elliptic cylinder."""

    def depth_mm(x: Array, y: Array, z: Array) -> Array:
        across = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
        return _common((1 - across) * min(radii), half_height - np.abs(z - centre[2]))

    return _boxed(centre, (*radii, half_height), depth_mm)


def _rod(start: Point, end: Point, radius: float) -> _Shape:
    """Return all points within a radius of the line from start to end."""
    first, along = np.array(start, np.float32), np.subtract(end, start).astype(np.float32)

    def depth_mm(x: Array, y: Array, z: Array) -> Array:
        from_first = [p - c for p, c in zip((x, y, z), first, strict=True)]
        fraction = sum(p * a for p, a in zip(from_first, along, strict=True)) / (along @ along)
        fraction = np.clip(fraction, 0, 1)
        off = [p - fraction * a for p, a in zip(from_first, along, strict=True)]
        depth: Array = radius - np.sqrt(sum(o * o for o in off))
        return depth

    middle, reach = np.add(start, end) / 2, np.abs(along) / 2 + radius
    return _boxed(tuple(middle.tolist()), tuple(reach.tolist()), depth_mm)


def _wing(sign: float, lift_mm: float) -> _Shape:
    """Return the iliac wing: the lower, outer and rear part of an ellipsoidal bowl."""
    bowl = _ellipsoid((0, -10, -14 + lift_mm), (112 * abs(sign), 92, 100))

    def depth_mm(x: Array, y: Array, z: Array) -> Array:
        within_wall = 5.0 - np.abs(bowl.depth_mm(x, y, z))
        crest = 12 + lift_mm - ((y - 10) / 14) ** 2
        return _common(within_wall, x * np.sign(sign) - 34, y + 55, crest - z, z + 104 - lift_mm)

    return _boxed((sign * 60, 10, -44 + lift_mm), (66, 90, 64), depth_mm)


def _socket(centre: Point, inner: float, outer: float, sign: float) -> _Shape:
    """Return the acetabulum: the upper, medial part of a spherical shell."""

    def depth_mm(x: Array, y: Array, z: Array) -> Array:
        dx, dy, dz = x - centre[0], y - centre[1], z - centre[2]
        radius = np.sqrt(dx * dx + dy * dy + dz * dz)
        return _common(outer - radius, radius - inner, dz - dx * np.sign(sign) + 4)

    return _boxed(centre, (outer, outer, outer), depth_mm)


def _rib(sign: float, height_mm: float) -> _Shape:
    """Return a tube around an ellipse that falls towards the front, open at the front."""

    def depth_mm(x: Array, y: Array, z: Array) -> Array:
        outwards = (np.hypot(x / (120 * abs(sign)), y / 84) - 1) * 95
        upwards = z - height_mm - 0.45 * (y - 40)
        tube = 6.0 - np.sqrt(outwards * outwards + upwards * upwards)
        return _common(tube, x * np.sign(sign) - 24, y + 50)

    return _boxed((sign * 70, 20, height_mm), (70, 76, 70), depth_mm)


def _common(*depths_mm: Array) -> Array:
    """Return the depth in the part that several solids have in common."""
    depth: Array = np.minimum.reduce(np.broadcast_arrays(*depths_mm))
    return depth


def _boxed(centre: Point, reach: Point, depth_mm: Callable[[Array, Array, Array], Array]) -> _Shape:
    return _Shape(
        low=(centre[0] - reach[0], centre[1] - reach[1], centre[2] - reach[2]),
        high=(centre[0] + reach[0], centre[1] + reach[1], centre[2] + reach[2]),
        depth_mm=depth_mm,
    )
