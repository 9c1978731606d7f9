"""Resampling between axis-aligned grids, one axis after the other: at points, or over voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.specimens.voxelise import Grid

Float32Array = NDArray[np.float32]


def resampled(values: Float32Array, source: Grid, target: Grid) -> Float32Array:
    """Read values [D,H,W,...] on one grid at the voxel centres of another; 0 outside.

    Args:
        values: on ``source``.
        source, target: axis-aligned grids.

    Returns:
        [D',H',W',...] float32 on ``target``.
    """
    for axis in range(3):
        spatial = 2 - axis  # arrays are (z,y,x)
        start = target.origin_mm[axis] - source.origin_mm[axis]
        positions = start + target.spacing_mm * np.arange(target.shape[spatial], dtype=np.float64)
        values = _along(values, positions / source.spacing_mm, spatial)
    return values


def averaged(values: Float32Array, source: Grid, target: Grid) -> Float32Array:
    """Return means [D',H',W',...] of values [D,H,W,...] over another grid's voxels; 0 outside.

    The mean is that of the linear interpolant over each target voxel's box, whatever the ratio of
    the two spacings, so thin shells do not fall between voxel centres and nothing moves.
    """
    for axis in range(3):
        spatial = 2 - axis
        ratio = target.spacing_mm / source.spacing_mm
        start = (target.origin_mm[axis] - source.origin_mm[axis]) / source.spacing_mm
        centres = start + ratio * np.arange(target.shape[spatial], dtype=np.float64)
        weights = _box_weights(centres, ratio, values.shape[spatial])
        values = np.moveaxis(np.tensordot(weights, values, (1, spatial)), 0, spatial)
    return np.ascontiguousarray(values)


def _box_weights(centres: NDArray[Any], width: float, size: int) -> Float32Array:
    """Return [N,size] weight of every value in the mean over a box around each centre (voxels)."""
    low, high = (centres[:, None] + side * width / 2.0 - np.arange(size) for side in (-1, 1))
    weights: Float32Array = ((_hat_integral(high) - _hat_integral(low)) / width).astype(np.float32)
    return weights


def _hat_integral(x: NDArray[Any]) -> NDArray[Any]:
    """Integrate max(0, 1 - |x|), the weight of linear interpolation, from minus infinity to x."""
    x = np.clip(x, -1.0, 1.0)
    result: NDArray[Any] = 0.5 + x - 0.5 * x * np.abs(x)
    return result


def overlap(grid: Grid, other: Grid) -> tuple[Grid, tuple[slice, slice, slice]]:
    """Return the part of ``grid`` within reach of ``other``, and where it lies in ``grid``."""
    origin, shape, slices = [], [], []
    for axis in range(3):
        spatial = 2 - axis
        start = (other.origin_mm[axis] - grid.origin_mm[axis]) / grid.spacing_mm
        end = start + (other.shape[spatial] - 1) * other.spacing_mm / grid.spacing_mm
        low = min(max(int(np.floor(start)), 0), grid.shape[spatial])
        high = max(min(int(np.ceil(end)) + 1, grid.shape[spatial]), low)
        origin.append(grid.origin_mm[axis] + low * grid.spacing_mm)
        shape.append(high - low)
        slices.append(slice(low, high))
    x, y, z = origin
    part = Grid(
        origin_mm=(x, y, z), spacing_mm=grid.spacing_mm, shape=(shape[2], shape[1], shape[0])
    )
    return part, (slices[2], slices[1], slices[0])


def _along(values: Float32Array, positions: NDArray[Any], axis: int) -> Float32Array:
    size = values.shape[axis]
    low = np.floor(positions).astype(int)
    fraction = (positions - low).astype(np.float32)
    broadcast = [1] * values.ndim
    broadcast[axis] = len(positions)
    low_weight = np.where((low >= 0) & (low < size), 1.0 - fraction, 0.0).astype(np.float32)
    high_weight = np.where((low >= -1) & (low + 1 < size), fraction, 0.0).astype(np.float32)
    read: Float32Array = np.take(values, np.clip(low, 0, size - 1), axis=axis)
    read *= low_weight.reshape(broadcast)
    upper = np.take(values, np.clip(low + 1, 0, size - 1), axis=axis)
    upper *= high_weight.reshape(broadcast)
    read += upper
    return read
