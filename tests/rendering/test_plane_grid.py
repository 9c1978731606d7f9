"""The march's form of a volume: order, border, rounding, channels, and what is known empty."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wsreg.errors import InputError
from wsreg.kernels.march import BLOCK, CELL, MIXED, PAD
from wsreg.rendering.plane_grid import PlaneGrid, attenuation_grid, label_grid
from wsreg.rendering.rays import PlaneAxes
from wsreg.volumes.volume import Volume

ALL_AXES = [
    PlaneAxes(u=u, v=3 - u - w, w=w) for w in range(3) for u in range(3) if u != w
]  # fmt: skip


def planes_of(grid: PlaneGrid) -> np.ndarray:
    """[w,v,u] without the border."""
    whole = grid.values[:-1].reshape(grid.shape[::-1])
    assert whole.sum() == whole[:, PAD:-PAD, PAD:-PAD].sum()
    return whole[:, PAD:-PAD, PAD:-PAD]


def volume_of(hu: np.ndarray) -> Volume:
    return Volume(hu=torch.from_numpy(hu), ct_from_voxel=torch.eye(4, dtype=torch.float64))


@pytest.mark.parametrize("axes", ALL_AXES)
def test_voxels_are_found_by_their_axes(axes: PlaneAxes) -> None:
    hu = np.full((4, 5, 6), -1000, np.int16)
    index = {0: 3, 1: 2, 2: 1}  # of voxel axes x, y, z
    hu[index[2], index[1], index[0]] = 700
    grid = attenuation_grid(volume_of(hu), axes)
    assert np.argwhere(planes_of(grid)).tolist() == [[index[axes.w], index[axes.v], index[axes.u]]]


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_rounding_is_a_131070th_of_the_largest_value_at_most(dtype: type[np.generic]) -> None:
    hu = np.random.default_rng(0).integers(-1200, 3000, (4, 5, 6)).astype(dtype)
    volume = volume_of(hu)
    attenuation = volume.attenuation.numpy()
    grid = attenuation_grid(volume, PlaneAxes(u=0, v=1, w=2))
    error = np.abs(planes_of(grid) * grid.scale - attenuation)
    assert error.max() <= 0.501 * attenuation.max() / 65535


@pytest.mark.parametrize("axes", ALL_AXES)
def test_the_table_of_whole_hounsfield_units_changes_nothing(axes: PlaneAxes) -> None:
    hu = np.random.default_rng(1).integers(-1024, 3071, (4, 5, 6)).astype(np.int16)
    by_table = attenuation_grid(volume_of(hu), axes)
    direct = attenuation_grid(volume_of(hu.astype(np.float32)), axes)
    assert np.array_equal(by_table.values, direct.values)
    assert np.array_equal(by_table.occupancy, direct.occupancy)
    assert by_table.scale == direct.scale


def test_nothing_at_all_is_a_grid_of_zeros() -> None:
    air = volume_of(np.full((2, 3, 4), -1000, np.int16))
    grid = attenuation_grid(air, PlaneAxes(u=0, v=1, w=2))
    assert not grid.values.any()
    assert not grid.occupancy.any()


def test_labels_become_channels() -> None:
    labels = np.array([[[0, 1, 2, 7, 9]]], np.int16)
    grid = label_grid(labels, ((7,), (1, 9), (500,)), PlaneAxes(u=0, v=1, w=2))
    assert (grid.values[:-1] % MIXED).reshape(grid.shape[::-1])[0, PAD].tolist() == [
        0, 0, 0, 2, 0, 1, 2, 0, 0,
    ]  # fmt: skip


def test_voxels_beside_another_channel_are_marked() -> None:
    labels = np.zeros((1, 4, 5), np.int16)
    labels[0, 1:, 1:4] = 7
    grid = label_grid(labels, ((7,),), PlaneAxes(u=0, v=1, w=2))
    marked = (grid.values[:-1] >= MIXED).reshape(grid.shape[::-1])[0]
    for v, u in np.ndindex(7, 8):
        around = grid.values[:-1].reshape(grid.shape[::-1])[0, v : v + 2, u : u + 2] % MIXED
        assert marked[v, u] == (around.min() != around.max()), (v, u)


def test_more_channels_than_eight_bits_hold_are_refused() -> None:
    labels = np.arange(300, dtype=np.int16).reshape(1, 1, 300)
    rois = tuple((label,) for label in range(1, 257))
    with pytest.raises(InputError, match="rois must be at most 255 at a time, got 256"):
        label_grid(labels, rois, PlaneAxes(u=0, v=1, w=2))


def test_occupied_cells_are_counted() -> None:
    hu = np.full((BLOCK + 1, 3 * CELL, 2 * CELL), -1000, np.int16)
    hu[BLOCK, 2 * CELL, 0] = 1000  # second block, with the border: row 2, column 0
    tables = attenuation_grid(volume_of(hu), PlaneAxes(u=0, v=1, w=2)).occupancy
    assert tables.shape == (2, 5, 4)  # 28 rows and 20 columns with their border
    assert not tables[0].any()
    cells = np.diff(np.diff(tables[1], axis=0), axis=1)
    assert np.argwhere(cells).tolist() == [[2, 0]]
