"""The mean squared error: known values, scikit-image's, and the model against its definition."""

from __future__ import annotations

import pytest
import torch
from skimage.metrics import mean_squared_error
from tests.similarity.conftest import Pair
from torch import Tensor

from wsreg.similarity.mse import Mse

ZERO = torch.zeros(3, dtype=torch.float64)


def test_values_known_by_hand() -> None:
    """Ends of both images are 0 and 1; half of the other pixels are off by a quarter."""
    fixed = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    moving = torch.tensor([[0.0, 1.0], [0.5, 0.75]])[None]
    prepared = Mse().prepare(fixed, torch.ones(2, 2, dtype=torch.bool))
    assert float(prepared.loss(moving)) == pytest.approx(0.25**2 / 4)
    assert float(prepared.similarity(moving)) == pytest.approx(1.0 - 0.25**2 / 4)


def test_it_is_that_of_another_library(pair: Pair) -> None:
    prepared = Mse().prepare(pair.fixed, pair.mask)
    expected = mean_squared_error(
        prepared.pixels.fixed.numpy(), prepared.pixels.scaled(pair.moving)[0].numpy()
    )
    assert float(prepared.loss(pair.moving)) == pytest.approx(float(expected), rel=1e-12)


def test_the_model_is_what_the_definition_says(pair: Pair) -> None:
    """Half the squared norm of a vector; by its own jacobian."""
    prepared = Mse().prepare(pair.fixed, pair.mask)

    def vector(step: Tensor) -> Tensor:
        residual = prepared.pixels.residual(pair.moved(step)[None])[0]
        scaled: Tensor = residual * (2.0 / len(residual)) ** 0.5
        return scaled

    residual, jacobian = vector(ZERO), torch.autograd.functional.jacobian(vector, ZERO)
    model = prepared.linearize(pair.moving, pair.jacobian)
    assert float(model.value) == pytest.approx(0.5 * float(residual @ residual))
    torch.testing.assert_close(model.gradient[0], jacobian.T @ residual)
    torch.testing.assert_close(model.normal_matrix[0], jacobian.T @ jacobian)
