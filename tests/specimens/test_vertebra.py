from __future__ import annotations

import numpy as np

from wsreg.specimens.vertebra import L4, tube, vertebra


def test_every_part_is_closed_and_left_mirrors_right() -> None:
    parts = vertebra(L4)
    assert all(part.is_watertight() for part in parts)
    points = np.concatenate([part.vertices_mm for part in parts])
    assert abs(points[:, 0].max() + points[:, 0].min()) < 0.5


def test_the_body_has_its_size_and_the_processes_point_back() -> None:
    parts = vertebra(L4)
    body = parts[0].vertices_mm
    np.testing.assert_allclose(np.ptp(body[:, 0]), L4.width_mm, rtol=0.02)
    front = body[body[:, 1] < -0.48 * L4.depth_mm]
    np.testing.assert_allclose(np.ptp(front[:, 2]), L4.front_mm, rtol=0.02)
    points = np.concatenate([part.vertices_mm for part in parts])
    assert points[:, 1].max() > 55.0
    assert points[:, 1].min() > -0.51 * L4.depth_mm


def test_a_tube_has_its_radii() -> None:
    rod = tube([[0.0, 0.0, 0.0], [0.0, 30.0, 0.0]], [4.0, 4.0], [6.0, 6.0])
    middle = rod.vertices_mm[np.abs(rod.vertices_mm[:, 1] - 15.0) < 3.0]
    np.testing.assert_allclose(np.abs(middle[:, 0]).max(), 4.0, rtol=0.02)
    np.testing.assert_allclose(np.abs(middle[:, 2]).max(), 6.0, rtol=0.02)
