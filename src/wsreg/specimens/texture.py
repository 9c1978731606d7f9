"""Smooth random fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsreg.specimens.resample import resampled
from wsreg.specimens.voxelise import Grid

Float32Array = NDArray[np.float32]


def smooth_noise(grid: Grid, scale_mm: float, generator: np.random.Generator) -> Float32Array:
    """Return [D,H,W] float32 Gaussian field of unit variance, its features ``scale_mm`` in size."""
    from scipy.ndimage import gaussian_filter

    spacing_mm = max(grid.spacing_mm, 0.4 * scale_mm)
    counts = [int(np.ceil(size * grid.spacing_mm / spacing_mm)) + 3 for size in grid.shape]
    coarse = Grid(
        origin_mm=_shifted(grid.origin_mm, -spacing_mm),
        spacing_mm=spacing_mm,
        shape=(counts[0], counts[1], counts[2]),
    )
    noise = generator.standard_normal(coarse.shape, dtype=np.float32)
    noise = gaussian_filter(noise, 0.4 * scale_mm / spacing_mm, mode="wrap")
    noise /= noise.std()
    return resampled(noise, coarse, grid)


def _shifted(origin_mm: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    x, y, z = origin_mm
    return x + by, y + by, z + by
