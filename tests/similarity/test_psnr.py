"""PSNR: known values, scikit-image's, and the model by the chain rule."""

from __future__ import annotations

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from tests.similarity.conftest import Pair

from wsreg.similarity.mse import Mse
from wsreg.similarity.psnr import Psnr


def test_values_known_by_hand() -> None:
    """An MSE of 0.01 has 20 dB; a perfect match has 60."""
    fixed = torch.tensor([[0.0, 1.0], [0.5, 0.5]], dtype=torch.float64)
    moving = torch.stack((fixed, fixed))
    moving[1, 1, 0] += 0.2
    prepared = Psnr().prepare(fixed, torch.ones(2, 2, dtype=torch.bool))
    assert prepared.decibels(moving).tolist() == pytest.approx([60.0, 20.0], abs=1e-3)
    assert prepared.similarity(moving).tolist() == pytest.approx([1.0, 1 / 3], abs=1e-4)
    assert prepared.loss(moving).tolist() == pytest.approx([0.0, 2 / 3], abs=1e-4)


def test_it_is_that_of_another_library(pair: Pair) -> None:
    prepared = Psnr().prepare(pair.fixed, pair.mask)
    pixels = prepared.mse.pixels
    expected = peak_signal_noise_ratio(
        pixels.fixed.numpy(), pixels.scaled(pair.moving)[0].numpy(), data_range=1.0
    )
    assert float(prepared.decibels(pair.moving)) == pytest.approx(float(expected), abs=1e-3)


def test_it_ranks_as_the_mean_squared_error_and_its_model_is_that_one_times_a_slope(
    pair: Pair,
) -> None:
    psnr, mse = (measure.prepare(pair.fixed, pair.mask) for measure in (Psnr(), Mse()))
    ladder = torch.stack([pair.fixed + t * (pair.moving[0] - pair.fixed) for t in (0.2, 0.6, 1.0)])
    for prepared in (psnr, mse):
        assert bool((prepared.loss(ladder).diff() > 0).all())
    a, b = (prepared.linearize(pair.moving, pair.jacobian) for prepared in (psnr, mse))
    slope = a.gradient[0, 0] / b.gradient[0, 0]
    torch.testing.assert_close(a.gradient, slope * b.gradient)
    torch.testing.assert_close(a.normal_matrix, slope * b.normal_matrix)
    # d/dm of log10(m + 1e-6) / 6
    assert float(slope) == pytest.approx(0.4342944819 / 6 / (float(b.value) + 1e-6))
