from __future__ import annotations

import numpy as np
import pytest

from wsreg.radiographs.collimator_shapes import (
    Blade,
    Circle,
    find_blades,
    find_circles,
    find_steps,
    sharp_steps,
)

ROWS, COLUMNS = np.mgrid[:100, :120].astype(float)


def test_sharp_step_is_up_and_level_beside() -> None:
    far_outside, outside, inside, far_inside = np.array(
        [[0, 0, 10, 10], [10, 10, 0, 0], [0, 3, 6, 9], [0, 0, 10, 14], [0, 0, 10, 12]], dtype=float
    ).T
    sharp = sharp_steps(far_outside, outside, inside, far_inside)
    assert sharp.tolist() == [True, False, False, False, True]


def test_blades_of_an_upright_rectangle_are_found_to_the_pixel() -> None:
    image = np.zeros((100, 120))
    image[20:80, 30:95] = 1.0
    blades = find_blades(find_steps(image))
    found = sorted((round(b.normal[0]), round(b.normal[1]), round(b.offset, 1)) for b in blades)
    # Insides: column >= 29.5, row >= 19.5, column <= 94.5, row <= 79.5.
    assert [f[:2] for f in found] == [(-1, 0), (0, -1), (0, 1), (1, 0)]
    np.testing.assert_allclose([f[2] for f in found], [-94.5, -79.5, 19.5, 29.5], atol=0.5)


@pytest.mark.parametrize("turn_deg", [0.0, 17.0, 45.0, 160.0])
def test_one_blade_at_any_angle(turn_deg: float) -> None:
    normal = np.array([np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))])
    offset = float(normal @ (60.0, 50.0)) + 7.0
    image = np.clip(COLUMNS * normal[0] + ROWS * normal[1] - offset + 0.5, 0, 1)
    (blade,) = find_blades(find_steps(image))
    np.testing.assert_allclose(blade.normal, normal, atol=0.01)
    assert blade.offset == pytest.approx(offset, abs=0.6)
    assert find_circles(find_steps(image)) == []


def test_nothing_in_a_slope_or_a_flat_image() -> None:
    for image in (COLUMNS, np.zeros((100, 120))):
        steps = find_steps(image)
        assert len(steps.points) == 0
        assert find_blades(steps) == []
        assert find_circles(steps) == []


@pytest.mark.parametrize(
    ("column", "row", "radius"),
    [(59.5, 49.5, 40.0), (63.0, 46.0, 35.5), (0.0, 50.0, 60.0), (-20.0, 120.0, 100.0)],
)
def test_circle_is_found_wherever_its_middle_is(column: float, row: float, radius: float) -> None:
    distance = np.hypot(COLUMNS - column, ROWS - row)
    circle = find_circles(find_steps(np.clip(radius + 0.5 - distance, 0, 1)))[0]
    np.testing.assert_allclose(circle.middle, (column, row), atol=1.0)
    assert circle.radius == pytest.approx(radius, abs=1.0)


def test_depths_and_edges_by_hand() -> None:
    blade = Blade(normal=(0.6, 0.8), offset=10.0)
    assert blade.inside_px(np.array([10.0, 10.0])) == pytest.approx(4.0)
    circle = Circle(middle=(1.0, 2.0), radius=5.0)
    assert circle.inside_px(np.array([4.0, 6.0])) == pytest.approx(0.0)
    for shape in (blade, circle):
        points, inwards = shape.edge(20.0)
        np.testing.assert_allclose(shape.inside_px(points), 0.0, atol=1e-9)
        np.testing.assert_allclose(shape.inside_px(points + inwards), 1.0, atol=1e-9)
