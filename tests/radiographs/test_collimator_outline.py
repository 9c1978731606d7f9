from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wsreg.radiographs.collimator_outline import Outline, sharpest_outline

ROWS, COLUMNS = np.mgrid[:100, :120].astype(float)


def anatomy() -> NDArray[np.floating]:
    """Return smooth structures [100,120], 0.3 to 0.7, with a little noise."""
    waves = 0.5 + 0.1 * np.sin(ROWS / 7) + 0.1 * np.sin(COLUMNS / 9 + 1)
    noisy: NDArray[np.floating] = waves + np.random.default_rng(0).normal(0, 0.003, ROWS.shape)
    return noisy


def outline_of(field: NDArray[np.bool_], beyond: float = 0.0) -> Outline | None:
    image = np.where(field, anatomy(), beyond)
    return sharpest_outline([image, image, image])


def test_rectangle_has_its_four_sides() -> None:
    field = (ROWS >= 20) & (ROWS < 80) & (COLUMNS >= 30) & (COLUMNS < 95)
    found = outline_of(field)
    assert found is not None
    assert (found.field ^ field).sum() <= 250  # half a pixel around 2 x (60 + 65)
    assert 0.8 * 250 < found.sharp_px <= 250
    assert not found.round


def test_circle_and_blade_bound_a_field_together() -> None:
    field = (np.hypot(ROWS - 50, COLUMNS - 60) < 45) & (COLUMNS < 75)
    found = outline_of(field)
    assert found is not None
    assert found.round
    assert (found.field ^ field).sum() < 0.04 * field.sum()


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_of_a_single_edge_the_field_is_where_anatomy_is(side: float) -> None:
    field = side * (0.3 * ROWS + COLUMNS - 80) > 0
    found = outline_of(field)
    assert found is not None
    assert (found.field ^ field).sum() < 0.04 * field.sum()
    turned = np.where(field, -anatomy(), 0.0)  # what is blocked would have to be dark
    assert sharpest_outline([turned, turned, turned]) is None


def test_blades_that_are_not_at_right_angles_are_no_field() -> None:
    wedge = (COLUMNS > 40) & (ROWS - 50 > 0.6 * (COLUMNS - 90))
    found = outline_of(wedge)
    assert found is None or found.sharp_px < 120


def test_anatomy_alone_has_no_outline() -> None:
    image = anatomy()
    assert sharpest_outline([image, image, image]) is None
