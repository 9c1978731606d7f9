"""The mean absolute error: known values, NumPy's, and the reweighted squares."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.similarity.conftest import Pair
from torch import Tensor

from wsreg.errors import InputError
from wsreg.similarity.mae import Mae

ZERO = torch.zeros(3, dtype=torch.float64)


def test_values_known_by_hand() -> None:
    """One of four pixels is off by a quarter, then by less than the rounding."""
    fixed = torch.tensor([[0.0, 1.0], [0.5, 0.5]], dtype=torch.float64)
    moving = fixed.expand(2, 2, 2).clone()
    moving[:, 1, 1] += torch.tensor([0.25, 0.01], dtype=torch.float64)
    prepared = Mae(rounding=0.02).prepare(fixed, torch.ones(2, 2, dtype=torch.bool))
    expected = [(0.25 - 0.01) / 4, 0.01**2 / (2 * 0.02) / 4]
    assert prepared.loss(moving).tolist() == pytest.approx(expected)
    assert prepared.similarity(moving).tolist() == pytest.approx([1 - loss for loss in expected])


def test_it_is_the_mean_of_absolute_values(pair: Pair) -> None:
    prepared = Mae(rounding=1e-9).prepare(pair.fixed, pair.mask)
    a, b = prepared.pixels.fixed.numpy(), prepared.pixels.scaled(pair.moving)[0].numpy()
    expected = float(np.abs(a - b).mean())
    assert float(prepared.loss(pair.moving)) == pytest.approx(expected, rel=1e-6)
    assert float(Mae().prepare(pair.fixed, pair.mask).loss(pair.moving)) == pytest.approx(
        expected, rel=0.01
    )


def test_the_model_is_one_of_weighted_squares(pair: Pair) -> None:
    """Each residual's square by the inverse of its size at the state; some are below rounding."""
    prepared = Mae(rounding=0.05).prepare(pair.fixed, pair.mask)

    def residual(step: Tensor) -> Tensor:
        return prepared.pixels.residual(pair.moved(step)[None])[0]

    here, jacobian = residual(ZERO), torch.autograd.functional.jacobian(residual, ZERO)
    weight = 1.0 / here.abs().clamp_min(0.05)
    assert 0 < int((here.abs() < 0.05).sum()) < len(here)
    model = prepared.linearize(pair.moving, pair.jacobian)
    count = len(here)
    torch.testing.assert_close(model.gradient[0], jacobian.T @ (weight * here) / count)
    torch.testing.assert_close(
        model.normal_matrix[0], jacobian.T @ (weight[:, None] * jacobian) / count
    )


@pytest.mark.parametrize("rounding", [0.0, -1.0, math.nan, math.inf])
def test_a_rounding_is_above_0(rounding: float) -> None:
    with pytest.raises(InputError, match="rounding of mae must be above 0 and finite, got"):
        Mae(rounding=rounding)
