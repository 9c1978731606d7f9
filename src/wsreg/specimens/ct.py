"""The CT scan of a specimen: coarser than it, blurred, noisy, with the table underneath."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from wsreg.specimens.resample import averaged, overlap, resampled
from wsreg.specimens.specimen import Specimen
from wsreg.specimens.voxelise import Grid
from wsreg.volumes.volume import Volume

Float32Array = NDArray[np.float32]

LABELS = {
    "left-hemipelvis": 1,
    "right-hemipelvis": 2,
    "vertebrae": 3,
    "upper-sacrum": 4,
    "left-femur": 5,
    "right-femur": 6,
}
"""Label of each bone, as in DeepFluoro."""

CT_KEV_CM2_PER_G = {"water": 0.1937, "fat": 0.1878, "bone": 0.2599}
"""Mass attenuation at 70 keV, the effective energy of a 120 kVp scanner (NIST SRD 126; adipose
tissue and cortical bone of ICRU-44)."""

LOWEST_CT_MM = -150.0
"""Below the femoral heads."""
FIELD_OF_VIEW_MARGIN_MM = 8.0
TABLE_SHELL_HU, TABLE_CORE_HU = 60.0, -930.0
TABLE_SHELL_MM, TABLE_THICKNESS_MM, TABLE_RADIUS_MM = 2.5, 28.0, 420.0


def scan(specimen: Specimen, spacing_mm: float) -> Volume:
    """Make the specimen's CT with its labels.

    Args:
        specimen: fine geometry.
        spacing_mm: voxel side of the CT, not finer than the geometry.

    Returns:
        HU (int16) and labels 1-6 in the specimen's coordinates (LPS mm).
    """
    from scipy.ndimage import gaussian_filter

    generator = np.random.default_rng((specimen.person.tissue_seed, 300))
    grid = _ct_grid(specimen, spacing_mm)
    body = resampled(specimen.body, specimen.body_grid, grid)
    attenuation: Float32Array = (
        CT_KEV_CM2_PER_G["water"] * body[..., 0] + CT_KEV_CM2_PER_G["fat"] * body[..., 1]
    )
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for name, bone in specimen.bones.items():
        part, where = overlap(grid, bone.grid)
        density = averaged(bone.density, bone.grid, part)
        attenuation[where] += (
            CT_KEV_CM2_PER_G["water"] * density[..., 0] + CT_KEV_CM2_PER_G["bone"] * density[..., 1]
        )
        covered = resampled(bone.mask.astype(np.float32), bone.grid, part) > 0.5
        labels[where][covered] = LABELS[name]
    hu: Float32Array = 1000.0 * (attenuation / CT_KEV_CM2_PER_G["water"] - 1.0)
    _lay_on_table(hu, grid)
    hu = gaussian_filter(hu, 0.45)
    hu += _noise(grid, generator)
    return Volume(
        hu=torch.from_numpy(np.clip(np.round(hu), -1024, 3071).astype(np.int16)),
        ct_from_voxel=torch.from_numpy(grid.mm_from_voxel),
        labels=torch.from_numpy(labels),
        label_names={value: name for name, value in LABELS.items()},
    )


def _ct_grid(specimen: Specimen, spacing_mm: float) -> Grid:
    """Return a grid around the body, from mid thigh to the top of the spine."""
    x_mm, y_mm = _extent_mm(specimen, 0), _extent_mm(specimen, 1)
    heads = specimen.anatomy.landmarks_mm["FH-l"] + specimen.anatomy.landmarks_mm["FH-r"]
    spine = np.concatenate([s.vertices_mm for s in specimen.anatomy.bones["vertebrae"]])
    bottom = float(0.5 * heads[2]) + LOWEST_CT_MM
    sizes_mm = (
        float(spine[:, 2].max()) + 4.0 - bottom,
        y_mm[1] - y_mm[0] + 2.0 * FIELD_OF_VIEW_MARGIN_MM + TABLE_THICKNESS_MM,
        x_mm[1] - x_mm[0] + 2.0 * FIELD_OF_VIEW_MARGIN_MM,
    )
    depth, height, width = (int(np.ceil(size / spacing_mm)) for size in sizes_mm)
    return Grid(
        origin_mm=(x_mm[0] - FIELD_OF_VIEW_MARGIN_MM, y_mm[0] - FIELD_OF_VIEW_MARGIN_MM, bottom),
        spacing_mm=spacing_mm,
        shape=(depth, height, width),
    )


def _extent_mm(specimen: Specimen, axis: int) -> tuple[float, float]:
    """Return where the body begins and ends along x (0) or y (1)."""
    grid = specimen.body_grid
    others = tuple(other for other in (0, 1, 2, 3) if other != 2 - axis)
    occupied = np.flatnonzero(specimen.body.any(axis=others))
    start = grid.origin_mm[axis]
    return (
        start + grid.spacing_mm * float(occupied[0]),
        start + grid.spacing_mm * float(occupied[-1]),
    )


def _lay_on_table(hu: Float32Array, grid: Grid) -> None:
    """Add the hollow table top that the body rests on."""
    x, y, _ = grid.axes_mm()
    _, rows, _ = np.nonzero(hu[:: max(1, grid.shape[0] // 40)] > -500.0)
    lowest = float(y.ravel()[rows.max()]) if rows.size else float(y.ravel()[-1])
    middle = float(x.mean())
    curve = TABLE_RADIUS_MM - np.sqrt(np.maximum(TABLE_RADIUS_MM**2 - (x - middle) ** 2, 1.0))
    below = y - (lowest + 1.0) + curve
    within = (below > 0.0) & (below < TABLE_THICKNESS_MM) & (np.abs(x - middle) < 210.0)
    shell = within & ((below < TABLE_SHELL_MM) | (below > TABLE_THICKNESS_MM - TABLE_SHELL_MM))
    air = hu < -500.0
    hu[np.broadcast_to(within, hu.shape) & air] = TABLE_CORE_HU
    hu[np.broadcast_to(shell, hu.shape) & air] = TABLE_SHELL_HU


def _noise(grid: Grid, generator: np.random.Generator) -> Float32Array:
    """Return [D,H,W] HU, grainy over about two voxels within a slice."""
    from scipy.ndimage import gaussian_filter

    noise = generator.standard_normal(grid.shape, dtype=np.float32)
    noise = gaussian_filter(noise, (0.3, 0.7, 0.7))
    scaled: Float32Array = noise * np.float32(generator.uniform(9.0, 18.0) / noise.std())
    return scaled
