from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wsreg.radiographs.collimator_shapes import best_circle, rectangles, sharp_steps

ROWS, COLUMNS = np.mgrid[:100, :120].astype(float)


def test_sharp_step_is_up_and_level_beside() -> None:
    far_outside, outside, inside, far_inside = np.array(
        [[0, 0, 10, 10], [10, 10, 0, 0], [0, 3, 6, 9], [0, 0, 10, 14], [0, 0, 10, 12]], dtype=float
    ).T
    sharp = sharp_steps(far_outside, outside, inside, far_inside)
    assert sharp.tolist() == [True, False, False, False, True]


def test_upright_rectangle_is_found_to_the_pixel() -> None:
    image = np.zeros((100, 120))
    image[20:80, 30:95] = 1.0
    upright = rectangles(image)[len(rectangles(image)) // 2]
    assert sorted(map(tuple, upright.tolist())) == [
        (29.5, 19.5),
        (29.5, 79.5),
        (94.5, 19.5),
        (94.5, 79.5),
    ]


def test_single_blade_leaves_the_other_sides_outside_the_image() -> None:
    image = np.zeros((100, 120))
    image[:, 30:] = 1.0
    found = [corners for corners in rectangles(image) if abs(corners[0, 0] - 29.5) < 1e-9]
    assert len(found) == 1
    low, high = found[0].min(axis=0), found[0].max(axis=0)
    assert low[1] < 0
    assert high[0] > 119
    assert high[1] > 99


def test_nothing_in_a_slope_or_a_flat_image() -> None:
    assert rectangles(COLUMNS) == []
    assert rectangles(np.zeros((100, 120))) == []
    assert len(best_circle(np.zeros((100, 120)))) == 0


@pytest.mark.parametrize(("column", "row", "radius"), [(59.5, 49.5, 40.0), (63.0, 46.0, 35.5)])
def test_circle_is_found_to_half_a_pixel(column: float, row: float, radius: float) -> None:
    distance = np.hypot(COLUMNS - column, ROWS - row)
    image = np.clip(radius + 0.5 - distance, 0, 1)
    corners: NDArray[np.floating] = best_circle(image)
    np.testing.assert_allclose(corners.mean(axis=0), (column, row), atol=0.3)
    found = np.linalg.norm(corners - corners.mean(axis=0), axis=1)
    np.testing.assert_allclose(found, radius, atol=0.5)
