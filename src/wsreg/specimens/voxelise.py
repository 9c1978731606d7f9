"""Which voxels lie inside closed surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.compiled import compiled
from wsreg.specimens.surface import Surface

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """An axis-aligned isotropic voxel grid in LPS mm.

    Args:
        origin_mm: centre of the first voxel (x,y,z).
        spacing_mm: voxel side.
        shape: (D,H,W).
    """

    origin_mm: tuple[float, float, float]
    spacing_mm: float
    shape: tuple[int, int, int]

    @property
    def mm_from_voxel(self) -> FloatArray:
        """Return the [4,4] affine, voxel index (x,y,z) -> LPS mm."""
        matrix = np.diag([self.spacing_mm] * 3 + [1.0])
        matrix[:3, 3] = self.origin_mm
        return matrix

    def axes_mm(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return the voxel centres along x, y and z (LPS mm), shaped to broadcast over [D,H,W]."""
        depth, height, width = self.shape
        x, y, z = self.origin_mm
        return (
            (x + self.spacing_mm * np.arange(width))[None, None, :],
            (y + self.spacing_mm * np.arange(height))[None, :, None],
            (z + self.spacing_mm * np.arange(depth))[:, None, None],
        )


def grid_around(points_mm: FloatArray, spacing_mm: float, margin_mm: float) -> Grid:
    """Return the smallest grid that holds points [N,3] with a margin.

    Its voxels lie at multiples of the spacing.
    """
    low = np.floor((points_mm.min(axis=0) - margin_mm) / spacing_mm)
    high = np.ceil((points_mm.max(axis=0) + margin_mm) / spacing_mm)
    width, height, depth = (high - low).astype(int) + 1
    x, y, z = low * spacing_mm
    return Grid(
        origin_mm=(float(x), float(y), float(z)),
        spacing_mm=spacing_mm,
        shape=(int(depth), int(height), int(width)),
    )


def inside(surfaces: Sequence[Surface], grid: Grid) -> NDArray[np.bool_]:
    """Return [D,H,W] bool, True where a voxel's centre lies in the union of closed surfaces.

    A column of voxels is inside between the first and second crossing of a surface, and so on.
    """
    union = np.zeros(grid.shape, dtype=np.bool_)
    for surface in surfaces:
        voxels = (surface.vertices_mm - np.array(grid.origin_mm)) / grid.spacing_mm
        crossings = np.zeros(grid.shape, dtype=np.uint8)
        _mark_crossings(voxels[surface.triangles], crossings)
        union |= np.bitwise_xor.accumulate(crossings, axis=0).astype(np.bool_)
    return union


def touched(surfaces: Sequence[Surface], grid: Grid) -> NDArray[np.bool_]:
    """Return [D,H,W] the voxels that surfaces pass through, however thin what they enclose is."""
    union = np.zeros(grid.shape, dtype=np.bool_)
    for surface in surfaces:
        corners = (surface.vertices_mm - np.array(grid.origin_mm)) / grid.spacing_mm
        a, b, c = corners[surface.triangles].transpose(1, 0, 2)
        longest = np.linalg.norm(np.stack((b - a, c - b, a - c)), axis=-1).max()
        steps = int(np.ceil(longest / 0.7))  # samples closer than voxels are
        for i in range(steps + 1):
            for j in range(steps + 1 - i):
                points = a + (b - a) * (i / steps) + (c - a) * (j / steps)
                x, y, z = np.round(points).astype(int).T
                depth, height, width = grid.shape
                on_grid = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (z >= 0) & (z < depth)
                union[z[on_grid], y[on_grid], x[on_grid]] = True
    return union


OFF_THE_EDGES = (1.37e-5, 2.71e-5)
"""Columns are read this far (voxels) beside their centres, so that none meets an edge exactly."""


@compiled()
def _mark_crossings(triangles: FloatArray, crossings: NDArray[np.uint8]) -> None:
    """Toggle the first voxel above each place where a triangle [T,3,3] crosses a column."""
    depth, height, width = crossings.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if area == 0.0:
            continue
        x_low = max(int(np.ceil(min(a[0], b[0], c[0]) - 1.0)), 0)
        x_high = min(int(np.floor(max(a[0], b[0], c[0]) + 1.0)), width - 1)
        y_low = max(int(np.ceil(min(a[1], b[1], c[1]) - 1.0)), 0)
        y_high = min(int(np.floor(max(a[1], b[1], c[1]) + 1.0)), height - 1)
        for j in range(y_low, y_high + 1):
            y = j + OFF_THE_EDGES[1]
            for i in range(x_low, x_high + 1):
                x = i + OFF_THE_EDGES[0]
                u = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
                v = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
                if u >= 0.0 and v >= 0.0 and u + v < 1.0:
                    z = a[2] + u * (b[2] - a[2]) + v * (c[2] - a[2])
                    k = max(int(np.ceil(z)), 0)
                    if k < depth:
                        crossings[k, j, i] ^= 1
