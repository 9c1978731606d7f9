"""A volume laid out for the march: planes one after another, 16-bit values, empty space known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.kernels.march import BLOCK, CELL, MIXED, PAD
from wsreg.rendering.rays import PlaneAxes
from wsreg.threads import run_ranges
from wsreg.volumes.volume import Volume

MAX_CHANNELS = MIXED - 1

Rois = tuple[tuple[int, ...], ...]
"""The labels of each channel."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PlaneGrid:
    """Flat [w][v][u] values with a border of zeros around u and v.

    Args:
        values: uint16, one element longer than the grid (values are read in pairs).
        shape: [3] int64 sizes along (u, v, w), borders included.
        occupancy: [blocks, cells_v+1, cells_u+1] int32 summed-area tables of non-zero voxels.
        scale: what one unit of ``values`` stands for.
    """

    values: NDArray[np.uint16]
    shape: NDArray[np.int64]
    occupancy: NDArray[np.int32]
    scale: float


def _bordered(planes: NDArray[Any], table: NDArray[np.uint16] | None) -> NDArray[np.uint16]:
    """Return planes [w,v,u], or what a table makes of their values, inside a border, flat."""
    depth, height, width = planes.shape
    size = depth * (height + 2 * PAD) * (width + 2 * PAD)
    flat = np.zeros(size + 1, np.uint16)
    grid = flat[:-1].reshape(depth, height + 2 * PAD, width + 2 * PAD)

    def fill(first: int, last: int) -> None:
        for k in range(first, last):
            inside = grid[k, PAD:-PAD, PAD:-PAD]
            inside[:] = planes[k] if table is None else table.take(planes[k], mode="clip")

    run_ranges(fill, depth, smallest=16)
    return flat


def _occupancy(grid: NDArray[np.generic]) -> NDArray[np.int32]:
    """Return summed-area tables of which cells hold anything, for every block of planes."""
    depth, height, width = grid.shape
    rows, columns = -(-height // CELL), -(-width // CELL)
    tables = np.zeros((-(-depth // BLOCK), rows + 1, columns + 1), np.int32)
    row_starts, column_starts = np.arange(rows) * CELL, np.arange(columns) * CELL
    for block in range(len(tables)):
        any_plane = grid[block * BLOCK : (block + 1) * BLOCK].any(axis=0)
        cells = np.logical_or.reduceat(any_plane, row_starts, axis=0)
        cells = np.logical_or.reduceat(cells, column_starts, axis=1)
        tables[block, 1:, 1:] = cells.cumsum(0).cumsum(1)
    return tables


def _along(volume: NDArray[Any], axes: PlaneAxes) -> NDArray[Any]:
    """View [D,H,W] as [w,v,u]; array axes are voxel axes (2, 1, 0)."""
    return volume.transpose(2 - axes.w, 2 - axes.v, 2 - axes.u)


def _grid(planes: NDArray[Any], scale: float, table: NDArray[np.uint16] | None = None) -> PlaneGrid:
    values = _bordered(planes, table)
    depth, height, width = planes.shape
    shape = np.array([width + 2 * PAD, height + 2 * PAD, depth], np.int64)
    return PlaneGrid(
        values=values,
        shape=shape,
        occupancy=_occupancy(values[:-1].reshape(shape[::-1])),
        scale=scale,
    )


def attenuation_grid(volume: Volume, axes: PlaneAxes) -> PlaneGrid:
    """Lay out 16-bit attenuation: the largest value becomes 65535, so rounding is 8e-6 of it.

    Whole Hounsfield units are looked up in a table: a CT of 35 million voxels is laid out in a
    fraction of a second, without a float copy of it.
    """
    if volume.hu.dtype != torch.int16:
        attenuation = volume.attenuation
        scale = max(float(attenuation.max()), 1e-12) / 65535.0
        return _grid(np.rint(np.float32(1.0 / scale) * _along(attenuation.numpy(), axes)), scale)
    hu = volume.hu.numpy()
    every = np.arange(65536, dtype=np.uint16).view(np.int16)
    table = volume.attenuation_of(torch.from_numpy(every)).numpy()
    scale = max(float(table[hu.max().view(np.uint16)]), 1e-12) / 65535.0
    levels = np.rint(np.clip(table / scale, 0, 65535)).astype(np.uint16)
    return _grid(_along(hu.view(np.uint16), axes), scale, levels)


def label_grid(labels: NDArray[np.generic], rois: Rois, axes: PlaneAxes) -> PlaneGrid:
    """Lay out channel number + 1 of each voxel, plus MIXED where the next ones in the plane differ.

    ``rois`` gives the label values of each channel.
    """
    if len(rois) > MAX_CHANNELS:
        raise InputError(f"rois must be at most {MAX_CHANNELS} at a time, got {len(rois)}")
    lookup = np.zeros(int(labels.max()) + 1, np.uint8)
    for channel, members in enumerate(rois):
        for label in members:
            if 0 <= label < len(lookup):
                lookup[label] = channel + 1
    grid = _grid(_along(lookup[labels], axes), 1.0)
    for plane in grid.values[:-1].reshape(*grid.shape[::-1].tolist()):
        here, beside = plane[:-1, :-1], (plane[:-1, 1:], plane[1:, :-1], plane[1:, 1:])
        mixed = np.logical_or.reduce([here != other for other in beside])
        here += MIXED * mixed.astype(np.uint16)
    return grid
