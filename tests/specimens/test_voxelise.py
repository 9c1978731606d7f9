from __future__ import annotations

import numpy as np

from wsreg.specimens.surface import Surface
from wsreg.specimens.vertebra import tube
from wsreg.specimens.voxelise import Grid, grid_around, inside, touched


def test_voxels_of_a_cube(cube: Surface) -> None:
    grid = Grid(origin_mm=(0.5, 0.5, 0.5), spacing_mm=1.0, shape=(30, 30, 30))
    mask = inside([cube], grid)
    expected = np.zeros((30, 30, 30), dtype=bool)
    expected[10:20, 10:20, 10:20] = True
    np.testing.assert_array_equal(mask, expected)


def test_axes_are_x_y_z_and_arrays_z_y_x(cube: Surface) -> None:
    stretched = cube.moved(np.diag([3.0, 2.0, 1.0, 1.0]))  # x 30..60, y 20..40, z 10..20
    grid = Grid(origin_mm=(0.5, 0.5, 0.5), spacing_mm=1.0, shape=(25, 45, 70))
    z, y, x = np.nonzero(inside([stretched], grid))
    assert (z.min(), z.max(), y.min(), y.max(), x.min(), x.max()) == (10, 19, 20, 39, 30, 59)


def test_a_surface_below_the_grid_is_still_closed(cube: Surface) -> None:
    grid = Grid(origin_mm=(0.5, 0.5, 15.5), spacing_mm=1.0, shape=(10, 30, 30))
    assert inside([cube], grid).sum() == 5 * 10 * 10


def test_overlapping_surfaces_unite(cube: Surface) -> None:
    shift = np.eye(4)
    shift[0, 3] = 5.0
    grid = Grid(origin_mm=(0.5, 0.5, 0.5), spacing_mm=1.0, shape=(30, 30, 30))
    assert inside([cube, cube.moved(shift)], grid).sum() == 15 * 10 * 10


def test_volume_of_a_tube() -> None:
    rod = tube([[0.0, 0.0, 0.0], [40.0, 0.0, 0.0]], [5.0, 5.0], [5.0, 5.0])
    grid = grid_around(rod.vertices_mm, 0.5, 1.0)
    cylinder, ball = np.pi * 25.0 * 40.0, 4.0 / 3.0 * np.pi * 125.0
    volume = inside([rod], grid).sum() * 0.5**3
    assert 0.95 * (cylinder + ball) < volume < 1.01 * (cylinder + ball)


def test_grid_around_holds_the_points_with_the_margin() -> None:
    grid = grid_around(np.array([[0.2, 1.0, 2.0], [3.0, 4.0, 9.9]]), 0.5, 1.0)
    first = np.array(grid.origin_mm)
    last = first + grid.spacing_mm * (np.array(grid.shape[::-1]) - 1)
    assert (first <= [-0.8, 0.0, 1.0]).all()
    assert (last >= [4.0, 5.0, 10.9]).all()
    second = grid.mm_from_voxel @ [1.0, 0.0, 0.0, 1.0]
    np.testing.assert_allclose(second[:3] - first, [0.5, 0.0, 0.0])


def test_a_plate_without_thickness_is_touched_but_holds_nothing(cube: Surface) -> None:
    flat = cube.moved(np.diag([1.0, 1.0, 0.0, 1.0]))  # the cube pressed onto z = 0
    grid = Grid(origin_mm=(0.0, 0.0, -2.0), spacing_mm=1.0, shape=(5, 30, 30))
    assert not inside([flat], grid).any()
    expected = np.zeros((5, 30, 30), dtype=bool)
    expected[2, 10:21, 10:21] = True
    np.testing.assert_array_equal(touched([flat], grid), expected)
