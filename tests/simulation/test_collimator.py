"""The exposed field."""

from __future__ import annotations

import numpy as np
import pytest

from wsreg.simulation.collimator import Collimator, exposed_field, sample_collimator
from wsreg.vocabulary import CollimatorShape


def test_round_field() -> None:
    collimator = Collimator(shape="circle", half_size=(0.4, 0.4), edge_px=2.0, leakage=0.05)
    field = exposed_field(collimator, rows=100, columns=140)
    assert field.shape == (100, 140)
    assert field[50, 70] == 1.0
    assert field[0, 70] == pytest.approx(0.05)
    assert field[50, 70 - 43] == pytest.approx(0.05)
    assert field[50, 70 - 38] == 1.0
    fraction = (field.mean() - 0.05) / 0.95
    assert fraction == pytest.approx(np.pi * 40**2 / (100 * 140), rel=1e-3)
    np.testing.assert_allclose(field, field[::-1, ::-1], atol=1e-6)  # centred


def test_rectangular_field() -> None:
    collimator = Collimator(
        shape="rectangle", centre=(0.5, 0.4), half_size=(0.4, 0.2), edge_px=1.0, leakage=0.0
    )
    field = exposed_field(collimator, rows=100, columns=100)
    np.testing.assert_allclose(np.flatnonzero(field[40] == 1.0), np.arange(10, 90))
    np.testing.assert_allclose(np.flatnonzero(field[:, 50] == 1.0), np.arange(20, 60))
    assert field[61, 50] == 0.0


def test_no_collimator_leaves_everything() -> None:
    assert exposed_field(Collimator(), 4, 6).min() == 1.0


@pytest.mark.parametrize("shape", ["circle", "rectangle"])
def test_sampled_fields_leave_most_of_the_image(shape: CollimatorShape) -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        drawn = sample_collimator(generator, shape, (0.4, 0.45))
        assert drawn.shape == shape
        assert 0.4 <= min(drawn.half_size) <= max(drawn.half_size) <= 0.45
        assert exposed_field(drawn, 100, 100).mean() > 0.45
