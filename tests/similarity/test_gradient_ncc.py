"""Gradient NCC: SciPy's Sobel and NumPy's correlation, the mask, the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion, sobel
from tests.similarity.conftest import Pair
from torch import Tensor

from wsreg.errors import InputError
from wsreg.similarity.gradient_ncc import GradientNcc
from wsreg.similarity.gradient_ncc import sobel as own_sobel

ZERO = torch.zeros(3, dtype=torch.float64)
WHOLE = torch.ones(12, 12, dtype=torch.bool)


def test_a_slope_of_one_has_a_derivative_of_one() -> None:
    ramp = torch.arange(5.0).expand(4, 5)
    along_columns, along_rows = own_sobel(ramp)
    assert along_columns.tolist() == [[1.0] * 3] * 2
    assert along_rows.tolist() == [[0.0] * 3] * 2
    along_columns, along_rows = own_sobel(ramp.T)
    assert not bool(along_columns.any())
    assert bool((along_rows == 1.0).all())


def test_it_is_the_mean_correlation_of_both_derivatives(pair: Pair) -> None:
    """Where all of 3 x 3 pixels are valid, none beyond the image's edge among them."""
    fixed, moving, mask = (t.numpy() for t in (pair.fixed, pair.moving[0], pair.mask))
    whole = binary_erosion(mask, np.ones((3, 3)))
    correlations = [
        np.corrcoef(sobel(fixed, axis)[whole], sobel(moving, axis)[whole])[0, 1] for axis in (0, 1)
    ]
    prepared = GradientNcc().prepare(pair.fixed, pair.mask)
    assert float(prepared.similarity(pair.moving)) == pytest.approx(np.mean(correlations))
    assert float(prepared.loss(pair.moving)) == pytest.approx(1.0 - np.mean(correlations))


def test_the_model_is_what_the_definition_says(pair: Pair) -> None:
    """1 - <a,b> of unit vectors is half their squared distance."""
    prepared = GradientNcc().prepare(pair.fixed, pair.mask)
    whole = torch.from_numpy(binary_erosion(pair.mask.numpy(), np.ones((3, 3))))[1:-1, 1:-1]

    def vector(image: Tensor) -> Tensor:
        parts = [slopes[whole] - slopes[whole].mean() for slopes in own_sobel(image)]
        whole_vector: Tensor = torch.cat([part / part.norm() for part in parts]) * 0.5**0.5
        return whole_vector

    residual = vector(pair.moving[0]) - vector(pair.fixed)
    jacobian = torch.autograd.functional.jacobian(lambda step: vector(pair.moved(step)), ZERO)
    model = prepared.linearize(pair.moving, pair.jacobian)
    assert float(model.value) == pytest.approx(0.5 * float(residual @ residual))
    torch.testing.assert_close(model.gradient[0], jacobian.T @ residual)
    torch.testing.assert_close(model.normal_matrix[0], jacobian.T @ jacobian)


def test_a_wide_shade_hardly_matters(pair: Pair) -> None:
    shade = 2.0 * torch.linspace(-1.0, 1.0, pair.fixed.shape[1], dtype=torch.float64).square()
    moving = (pair.fixed + shade)[None]
    assert float(GradientNcc().prepare(pair.fixed, pair.mask).loss(moving)) < 0.3
    expected = torch.corrcoef(torch.stack((pair.fixed.flatten(), moving.flatten())))[0, 1]
    assert float(expected) < 0.5  # global NCC


def test_a_mask_must_leave_room_for_a_derivative() -> None:
    checks = (torch.arange(12)[:, None] + torch.arange(12)) % 2 == 0
    for image, mask in ((torch.rand(12, 12), checks), (torch.rand(2, 12), WHOLE[:2])):
        with pytest.raises(InputError, match="must leave 3 x 3 pixels together for gradient-ncc"):
            GradientNcc().prepare(image, mask)
