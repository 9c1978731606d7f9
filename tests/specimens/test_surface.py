from __future__ import annotations

import dataclasses

import numpy as np

from wsreg.specimens.surface import Surface, connected_pieces


def test_a_cube_is_watertight_and_not_without_one_face(cube: Surface) -> None:
    assert cube.is_watertight()
    assert not dataclasses.replace(cube, triangles=cube.triangles[1:]).is_watertight()


def test_moving_applies_the_affine(cube: Surface) -> None:
    matrix = np.diag([2.0, 1.0, 1.0, 1.0])
    matrix[:3, 3] = (0.0, 5.0, 0.0)
    moved = cube.moved(matrix).vertices_mm
    np.testing.assert_allclose(moved.min(axis=0), [20.0, 15.0, 10.0])
    np.testing.assert_allclose(moved.max(axis=0), [40.0, 25.0, 20.0])


def test_pieces_are_told_apart_largest_first(cube: Surface) -> None:
    apart = np.concatenate((cube.triangles[:2] + 8, cube.triangles))
    pieces = connected_pieces(apart)
    assert [len(piece) for piece in pieces] == [12, 2]
    np.testing.assert_array_equal(pieces[0], cube.triangles)


def test_a_part_keeps_only_its_vertices(cube: Surface) -> None:
    face = cube.of(cube.triangles[:2])  # x = 10
    assert face.vertices_mm.shape == (4, 3)
    assert (face.vertices_mm[:, 0] == 10.0).all()
