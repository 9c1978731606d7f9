"""The inside of a bone: cortical shell, trabeculae, marrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.specimens.person import Person
from wsreg.specimens.surface import Surface
from wsreg.specimens.texture import smooth_noise
from wsreg.specimens.voxelise import Grid, grid_around, inside, touched

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

CORTICAL_G_PER_CM3 = 1.92
MARROW_G_PER_CM3 = 0.95
MUSCLE_G_PER_CM3 = 1.05
CORTICAL_FRACTION = 0.88
"""Fraction of bone in the shell; the rest are pores."""
SHELL_EDGE_MM = 0.8
"""Over which the shell passes into trabeculae."""


@dataclass(frozen=True, kw_only=True)
class BoneKind:
    """How a bone is built in a healthy adult.

    Args:
        shell_mm: thickness of the cortical shell.
        trabecular: fraction of bone inside, near the shell.
        core: fraction of bone deep inside, relative to that near the shell.
        shaft_mm: thickness of the shell far from the joint, where there is a hollow shaft.
        closed_mm: gaps up to twice as wide are filled, and voxels that the surface touches count:
            in some people the shape model's two sides of a thin plate cross, which left holes.
    """

    shell_mm: float
    trabecular: float
    core: float
    shaft_mm: float | None = None
    closed_mm: float = 0.0


BONE_KINDS = {
    "left-hemipelvis": BoneKind(shell_mm=0.75, trabecular=0.12, core=0.6, closed_mm=1.5),
    "right-hemipelvis": BoneKind(shell_mm=0.75, trabecular=0.12, core=0.6, closed_mm=1.5),
    "vertebrae": BoneKind(shell_mm=0.45, trabecular=0.11, core=0.8),
    "upper-sacrum": BoneKind(shell_mm=0.45, trabecular=0.07, core=0.6),
    "left-femur": BoneKind(shell_mm=0.8, trabecular=0.17, core=0.75, shaft_mm=6.0),
    "right-femur": BoneKind(shell_mm=0.8, trabecular=0.17, core=0.75, shaft_mm=6.0),
}

SHAFT_BEGINS_MM, SHAFT_COMPLETE_MM = 55.0, 120.0
"""Distances from the femoral head between which the shell grows to the shaft's."""
SHAFT_TRABECULAR = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class BoneVoxels:
    """One bone on its own grid.

    Args:
        grid: LPS mm.
        mask: [D,H,W] bool, the bone's voxels.
        density: [D,H,W,2] g/cm3 of soft tissue and cortical bone, less the muscle it displaces:
            adding it to a body that has muscle here gives bone.
    """

    grid: Grid
    mask: NDArray[np.bool_]
    density: Float32Array


def bone_voxels(
    name: str,
    surfaces: Sequence[Surface],
    clear_of: Sequence[Surface],
    person: Person,
    head_mm: FloatArray | None,
    *,
    spacing_mm: float,
    lowest_mm: float,
    gap_mm: float = 1.6,
) -> BoneVoxels:
    """Fill a bone with tissue.

    Args:
        name: key of ``BONE_KINDS``.
        surfaces: closed surfaces of the bone.
        clear_of: surfaces of bones that it has a joint with; it keeps ``gap_mm`` from them.
        person: bone density, cortex and seed.
        head_mm: [3] centre of the femoral head, for femurs.
        spacing_mm: of the grid.
        lowest_mm: where the bone is cut off (z).
        gap_mm: width of the joint.
    """
    from scipy.ndimage import gaussian_filter

    points = np.concatenate([surface.vertices_mm for surface in surfaces])
    points[:, 2] = np.maximum(points[:, 2], lowest_mm)
    grid = grid_around(points, spacing_mm, 3.0)
    mask = inside(surfaces, grid)
    if BONE_KINDS[name].closed_mm > 0.0:
        mask = _closed(mask | touched(surfaces, grid), BONE_KINDS[name].closed_mm, spacing_mm)
    if clear_of:
        neighbours = inside(clear_of, grid)
        if neighbours.any():
            mask &= signed_depth_mm(neighbours, spacing_mm) < -gap_mm
    generator = np.random.default_rng((person.tissue_seed, sorted(BONE_KINDS).index(name)))
    depth_mm = signed_depth_mm(mask, spacing_mm)
    fraction = _bone_fraction(BONE_KINDS[name], depth_mm, grid, person, head_mm, generator)
    filled = gaussian_filter(mask.astype(np.float32), 0.5)  # voxels that the surface cuts
    density = np.empty((*grid.shape, 2), dtype=np.float32)
    density[..., 0] = ((1.0 - fraction) * MARROW_G_PER_CM3 - MUSCLE_G_PER_CM3) * filled
    density[..., 1] = fraction * CORTICAL_G_PER_CM3 * filled
    return BoneVoxels(grid=grid, mask=mask, density=density)


def signed_depth_mm(mask: NDArray[np.bool_], spacing_mm: float) -> Float32Array:
    """Return [D,H,W] distance to the boundary of a mask in mm, positive inside."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    distance = sitk.SignedMaurerDistanceMap(
        image, insideIsPositive=True, squaredDistance=False, useImageSpacing=False
    )
    depth: Float32Array = sitk.GetArrayFromImage(distance)
    depth *= spacing_mm
    return depth


def _closed(mask: NDArray[np.bool_], reach_mm: float, spacing_mm: float) -> NDArray[np.bool_]:
    """Return the mask grown by a distance and shrunk by it again."""
    grown = signed_depth_mm(mask, spacing_mm) > -reach_mm
    closed: NDArray[np.bool_] = signed_depth_mm(grown, spacing_mm) >= reach_mm
    return closed | mask


def _bone_fraction(
    kind: BoneKind,
    depth_mm: Float32Array,
    grid: Grid,
    person: Person,
    head_mm: FloatArray | None,
    generator: np.random.Generator,
) -> Float32Array:
    """Return [D,H,W] fraction of each voxel that is bone, by depth under the surface."""
    shell_mm: NDArray[Any] = (
        person.cortex * kind.shell_mm * np.exp(0.4 * smooth_noise(grid, 18.0, generator))
    )
    deep = np.exp(-np.maximum(depth_mm, 0.0) / 7.0)
    near_shell = person.bone_density * kind.trabecular
    trabecular: NDArray[Any] = near_shell * (kind.core + (1.0 - kind.core) * deep)
    if head_mm is not None and kind.shaft_mm is not None:
        x, y, z = grid.axes_mm()
        away = np.sqrt((x - head_mm[0]) ** 2 + (y - head_mm[1]) ** 2 + (z - head_mm[2]) ** 2)
        shaft = _smoothstep(away, SHAFT_BEGINS_MM, SHAFT_COMPLETE_MM)
        shell_mm += shaft * (person.cortex * kind.shaft_mm - shell_mm)
        trabecular += shaft * (SHAFT_TRABECULAR - trabecular)
    coarse = smooth_noise(grid, 12.0, generator)
    fine = smooth_noise(grid, 1.8, generator)
    trabecular = trabecular * np.exp(0.25 * coarse + 0.4 * fine)
    within_shell = np.clip((shell_mm - depth_mm) / SHELL_EDGE_MM + 0.5, 0.0, 1.0)
    fraction = trabecular + within_shell * (CORTICAL_FRACTION - trabecular)
    return np.asarray(np.clip(fraction, 0.0, 0.97), dtype=np.float32)


def _smoothstep(value: FloatArray, low: float, high: float) -> Float32Array:
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)
