"""What is around the bones: skin, fat, muscle, and a belly with bowel and bladder.

Everything is a field on one grid: negative inside a part, zero at its surface, roughly in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.specimens.anatomy import Anatomy
from wsreg.specimens.bone_tissue import MUSCLE_G_PER_CM3, signed_depth_mm
from wsreg.specimens.person import Person
from wsreg.specimens.resample import resampled
from wsreg.specimens.surface import Surface
from wsreg.specimens.texture import smooth_noise
from wsreg.specimens.voxelise import Grid, inside

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

FAT_G_PER_CM3 = 0.93
SKIN_G_PER_CM3 = 1.08
FLUID_G_PER_CM3 = 1.01
STOOL_G_PER_CM3 = 1.06
SKIN_MM = 2.0
MUSCLE_AROUND_BONE_MM = 4.0
"""Bones displace muscle wherever they are, so there is muscle at least this far around them."""
BELLY_WALL_MM = 12.0
PERINEUM_MM = 95.0
"""Below the femoral heads."""
INNER_THIGH_MM = 5.0
"""From the middle plane."""
BOWEL_GRID_MM = 3.0
BOWEL_LOOPS, BOWEL_STEPS = 16, 100


@dataclass(frozen=True, kw_only=True)
class _Outline:
    """The torso's cross-section (mm) at heights z: half width, front and back."""

    z_mm: tuple[float, ...]
    half_width_mm: tuple[float, ...]
    front_mm: tuple[float, ...]
    back_mm: tuple[float, ...]


def body_density(person: Person, anatomy: Anatomy, grid: Grid) -> Float32Array:
    """Return [D,H,W,2] float32 g/cm3 of soft tissue and fat, with muscle where the bones belong.

    Args:
        person: fat, muscle and seed.
        anatomy: the bones that the body is built around.
        grid: LPS mm, origin between the femoral heads.
    """
    generator = np.random.default_rng((person.tissue_seed, 100))
    outline = _outline(person, anatomy)
    skin = _skin(person, anatomy, outline, grid)
    bones = _near_bones(anatomy, grid)
    fat_mm = _fat_thickness(person, outline, grid) * np.exp(
        0.15 * smooth_noise(grid, 60.0, generator)
    )
    soft = np.where(skin < -SKIN_MM, np.float32(0.0), np.float32(SKIN_G_PER_CM3))
    fat = np.where(skin < -SKIN_MM, np.float32(FAT_G_PER_CM3), np.float32(0.0))
    inner = skin < -(SKIN_MM + fat_mm)
    _fill(soft, fat, inner & ~_septa(grid, generator), MUSCLE_G_PER_CM3)
    belly = _belly(anatomy, skin + fat_mm, grid) & ~bones
    _fill_belly(soft, fat, belly, anatomy, outline, grid, generator)
    _fill(soft, fat, bones, MUSCLE_G_PER_CM3)
    soft *= 1.0 + 0.012 * smooth_noise(grid, 5.0, generator) * ~bones
    outside = skin > 0.0
    soft[outside & ~bones] = 0.0
    fat[outside | bones] = 0.0
    return np.stack((soft, fat), axis=-1)


def _fill(soft: Float32Array, fat: Float32Array, where: NDArray[np.bool_], density: float) -> None:
    soft[where] = density
    fat[where] = 0.0


def _near_bones(anatomy: Anatomy, grid: Grid) -> NDArray[np.bool_]:
    surfaces = [surface for bone in anatomy.bones.values() for surface in bone]
    depth_mm = signed_depth_mm(inside(surfaces, grid), grid.spacing_mm)
    near: NDArray[np.bool_] = depth_mm > -MUSCLE_AROUND_BONE_MM
    return near


def _outline(person: Person, anatomy: Anatomy) -> _Outline:
    """Derive the outline from bones under the skin: trochanters, crests, spine, sacrum, pubis."""
    points = {name: _points(bone) for name, bone in anatomy.bones.items()}
    crests = np.concatenate((points["left-hemipelvis"], points["right-hemipelvis"]))
    femurs = np.concatenate((points["left-femur"], points["right-femur"]))
    hips = float(np.abs(femurs[np.abs(femurs[:, 2]) < 60.0, 0]).max())
    crest, crest_z = float(np.abs(crests[:, 0]).max()), float(crests[:, 2].max())
    front = float(crests[:, 1].min())
    back = float(max(points["upper-sacrum"][:, 1].max(), points["vertebrae"][:, 1].max()))
    fat, muscle = person.fat_mm, person.muscle_mm
    return _Outline(
        z_mm=(-120.0, -60.0, 0.0, 60.0, crest_z, crest_z + 110.0),
        half_width_mm=(
            hips + 0.3 * muscle + fat, hips + 0.45 * muscle + 1.2 * fat,
            hips + 0.45 * muscle + 1.2 * fat, hips + 0.3 * muscle + fat,
            crest + 6.0 + 1.1 * fat, crest - 4.0 + fat,
        ),
        front_mm=(
            front + 18.0 - 0.4 * fat, front + 8.0 - 0.6 * fat, front - 0.9 * fat,
            front - 8.0 - fat, front - 14.0 - 1.3 * fat, front - 8.0 - 1.2 * fat,
        ),
        back_mm=(
            back - 12.0 + 0.5 * fat, back + 0.3 * muscle + fat, back + 0.5 * muscle + fat,
            back + 0.3 * muscle + fat, back + 8.0 + 0.8 * fat, back + 10.0 + 0.7 * fat,
        ),
    )  # fmt: skip


def _skin(person: Person, anatomy: Anatomy, outline: _Outline, grid: Grid) -> Float32Array:
    """Return [D,H,W] the torso joined smoothly with both thighs."""
    x, y, z = (axis.astype(np.float32) for axis in grid.axes_mm())
    half_width, centre, half_depth = _section(outline, z)
    torso = _superellipse(x, (y - centre), half_width, half_depth, 2.5)
    torso = -_smooth_union(-torso, z + PERINEUM_MM, 40.0)
    skin: Float32Array = torso
    for name in ("left-femur", "right-femur"):
        axis_x, axis_y = _axis_of(anatomy.bones[name], z)
        side = np.sign(axis_x)
        outer = np.abs(axis_x) + 0.8 * person.muscle_mm + 12.0 + 1.1 * person.fat_mm
        inner = np.maximum(INNER_THIGH_MM, np.abs(axis_x) - 0.9 * outer)
        across, along = 0.5 * (outer - inner), 0.5 * (outer - inner) * 1.1
        thigh = _superellipse(
            x - side * 0.5 * (outer + inner), y - axis_y - 12.0, across, along, 2.2
        )
        thigh = np.maximum(thigh, z - 10.0)
        skin = _smooth_union(skin, thigh, 22.0)
    return skin


def _section(outline: _Outline, z: NDArray[Any]) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return half width, centre and half depth of the torso at heights z."""
    from scipy.interpolate import PchipInterpolator

    def at(values: tuple[float, ...]) -> Float32Array:
        clipped = np.clip(z, outline.z_mm[0], outline.z_mm[-1])
        return np.asarray(PchipInterpolator(outline.z_mm, values)(clipped), dtype=np.float32)

    front, back = at(outline.front_mm), at(outline.back_mm)
    return at(outline.half_width_mm), 0.5 * (front + back), 0.5 * (back - front)


def _fat_thickness(person: Person, outline: _Outline, grid: Grid) -> Float32Array:
    """Return [D,H,W] mm, thicker over the buttocks and the belly, thinner at the flanks."""
    x, y, z = (axis.astype(np.float32) for axis in grid.axes_mm())
    _, centre, half_depth = _section(outline, z)
    forward = np.clip((centre - y) / half_depth, -1.0, 1.0)
    buttock = np.exp(-(((z - 10.0) / 70.0) ** 2)) * np.clip(-forward, 0.0, 1.0)
    thickness = person.fat_mm * (0.8 + 0.25 * np.abs(forward) + 0.35 * buttock) + 0.0 * x
    return np.asarray(thickness, dtype=np.float32)


def _septa(grid: Grid, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return thin curved sheets of fat between the muscles."""
    first = smooth_noise(grid, 30.0, generator)
    second = smooth_noise(grid, 45.0, generator)
    sheets: NDArray[np.bool_] = (np.abs(first) < 0.045) | (np.abs(second) < 0.03)
    return sheets


def _belly(anatomy: Anatomy, under_fat: Float32Array, grid: Grid) -> NDArray[np.bool_]:
    """Return the hollow in front of the spine and between the hips, down to the pelvic floor."""
    x, y, z = (axis.astype(np.float32) for axis in grid.axes_mm())
    knots = (-45.0, -10.0, 40.0, 100.0, 160.0, 320.0)
    half_width = np.interp(z, knots, (28.0, 46.0, 56.0, 84.0, 108.0, 112.0)).astype(np.float32)
    sacrum = _points(anatomy.bones["upper-sacrum"])
    spine = _points(anatomy.bones["vertebrae"])
    promontory = float(spine[:, 1].min())
    back = np.interp(
        z,
        (-45.0, 40.0, float(sacrum[:, 2].max()) - 20.0, float(sacrum[:, 2].max()) + 30.0),
        (35.0, float(sacrum[:, 1].max()) - 30.0, promontory + 14.0, promontory + 6.0),
    ).astype(np.float32)
    hollow = _superellipse(x, np.maximum(y - back + 60.0, 0.0), half_width, np.float32(60.0), 3.0)
    psoas = _superellipse(
        np.abs(x) - 42.0, y - promontory - 18.0, np.float32(19.0), np.float32(23.0), 2.0
    )
    in_psoas = (psoas < 0.0) & (z > 30.0)
    within: NDArray[np.bool_] = (hollow < 0.0) & (under_fat < -BELLY_WALL_MM)
    return within & (z > -45.0) & ~in_psoas


def _fill_belly(
    soft: Float32Array,
    fat: Float32Array,
    belly: NDArray[np.bool_],
    anatomy: Anatomy,
    outline: _Outline,
    grid: Grid,
    generator: np.random.Generator,
) -> None:
    """Put fat, bowel loops (gas in front, fluid and stool behind) and a bladder into the belly."""
    _fill(fat, soft, belly, FAT_G_PER_CM3)
    x, y, z = (axis.astype(np.float32) for axis in grid.axes_mm())
    _, centre, half_depth = _section(outline, z)
    loops_mm = _bowel(belly, grid, generator)
    _fill(soft, fat, belly & (loops_mm > 0.0), MUSCLE_G_PER_CM3)  # the wall
    lumen = belly & (loops_mm > 2.0)
    forward = (centre - y) / half_depth
    gas = smooth_noise(grid, 40.0, generator) + 0.9 * forward > 0.95
    stool = smooth_noise(grid, 25.0, generator) > 0.4
    _fill(soft, fat, lumen, FLUID_G_PER_CM3)
    soft[lumen & stool] = (STOOL_G_PER_CM3 * (1.0 + 0.04 * smooth_noise(grid, 4.0, generator)))[
        lumen & stool
    ]
    _fill(soft, fat, lumen & stool & (smooth_noise(grid, 5.0, generator) > 1.6), 0.3)  # bubbles
    _fill(soft, fat, lumen & gas, 0.001)
    pubis = 0.5 * (anatomy.landmarks_mm["SPS-l"] + anatomy.landmarks_mm["SPS-r"])
    size = generator.uniform(0.7, 1.2)
    bladder = np.sqrt(
        (x / (38.0 * size)) ** 2
        + ((y - pubis[1] - 36.0) / (26.0 * size)) ** 2
        + ((z - pubis[2] - 26.0) / (24.0 * size)) ** 2
    )
    _fill(soft, fat, belly & (bladder < 1.0), MUSCLE_G_PER_CM3)
    _fill(soft, fat, belly & (bladder < 0.9), FLUID_G_PER_CM3)


def _bowel(belly: NDArray[np.bool_], grid: Grid, generator: np.random.Generator) -> Float32Array:
    """Return [D,H,W] depth (mm) inside winding tubes through the belly, negative between them."""
    coarse = _coarser(grid, BOWEL_GRID_MM)
    room = resampled(belly.astype(np.float32), grid, coarse) > 0.5
    depth_mm = np.full(coarse.shape, -100.0, dtype=np.float32)
    candidates = np.argwhere(room)
    for _ in range(BOWEL_LOOPS if len(candidates) else 0):
        line = _walk(room, candidates[generator.integers(len(candidates))], generator)
        radius_mm = generator.uniform(9.0, 17.0)
        away_mm = np.minimum(signed_depth_mm(line, coarse.spacing_mm), np.float32(0.0))
        np.maximum(depth_mm, radius_mm + away_mm, out=depth_mm)
    return resampled(depth_mm, coarse, grid)


def _walk(
    room: NDArray[np.bool_], start: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Return [D,H,W] voxels of a winding line that begins at ``start`` (z,y,x) and stays inside."""
    line = np.zeros(room.shape, dtype=np.bool_)
    line[tuple(start)] = True
    point, direction = start.astype(np.float64), generator.standard_normal(3)
    for _ in range(BOWEL_STEPS):
        direction = 0.8 * direction + 0.5 * generator.standard_normal(3)
        ahead = point + 1.5 * direction / np.linalg.norm(direction)
        index = tuple(np.round(ahead).astype(int))
        if all(0 <= i < n for i, n in zip(index, room.shape, strict=True)) and room[index]:
            line[index], point = True, ahead
        else:
            direction = generator.standard_normal(3) - direction
    return line


def _coarser(grid: Grid, spacing_mm: float) -> Grid:
    """Return a grid over the same extent with voxels of at least ``spacing_mm``."""
    spacing_mm = max(spacing_mm, grid.spacing_mm)
    depth, height, width = (
        int(np.ceil((size - 1) * grid.spacing_mm / spacing_mm)) + 1 for size in grid.shape
    )
    return Grid(origin_mm=grid.origin_mm, spacing_mm=spacing_mm, shape=(depth, height, width))


def _axis_of(bone: Sequence[Surface], z: NDArray[Any]) -> tuple[Float32Array, Float32Array]:
    """Return x and y of a long bone's middle line at heights z."""
    points = _points(bone)
    edges = np.linspace(points[:, 2].min(), min(points[:, 2].max() - 60.0, -40.0), 12)
    levels = [points[(points[:, 2] >= a) & (points[:, 2] < b)] for a, b in _pairs(edges)]
    centres = np.array([level.mean(axis=0) for level in levels if len(level)])
    return (
        np.interp(z, centres[:, 2], centres[:, 0]).astype(np.float32),
        np.interp(z, centres[:, 2], centres[:, 1]).astype(np.float32),
    )


def _pairs(values: FloatArray) -> list[tuple[float, float]]:
    return list(zip(values[:-1].tolist(), values[1:].tolist(), strict=True))


def _points(bone: Sequence[Surface]) -> FloatArray:
    return np.concatenate([surface.vertices_mm for surface in bone])


def _superellipse(
    x: NDArray[Any], y: NDArray[Any], a: NDArray[Any] | Any, b: NDArray[Any] | Any, power: float
) -> Float32Array:
    """Return about the distance (mm) to the curve |x/a|^p + |y/b|^p = 1, negative inside."""
    radius = (np.abs(x / a) ** power + np.abs(y / b) ** power) ** np.float32(1.0 / power)
    return np.asarray((radius - 1.0) * np.minimum(a, b), dtype=np.float32)


def _smooth_union(first: Float32Array, second: Float32Array, width_mm: float) -> Float32Array:
    fraction = np.clip(0.5 + 0.5 * (second - first) / width_mm, 0.0, 1.0)
    joined = second + (first - second) * fraction - width_mm * fraction * (1.0 - fraction)
    return np.asarray(joined, dtype=np.float32)
