"""Standard deviations, and what the solver left undone."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration.ties import PIXELS_PER_RESIDUAL
from wsreg.registration.verdict.deviation import (
    covariance,
    inverse,
    remaining_gain,
)


def standard_deviation(model: QuadraticModel, valid_pixels: float) -> torch.Tensor:
    return covariance(model, valid_pixels).diagonal().sqrt()


def diagonal(curvature: list[float], value: float) -> QuadraticModel:
    return QuadraticModel(
        value=torch.tensor(value, dtype=torch.float64),
        gradient=torch.zeros(len(curvature), dtype=torch.float64),
        normal_matrix=torch.diag(torch.tensor(curvature, dtype=torch.float64)),
    )


def test_standard_deviations_are_those_of_least_squares() -> None:
    model = diagonal([1.0, 4.0, 1.0, 100.0, 1.0, 0.01], value=0.5)
    deviation = standard_deviation(model, valid_pixels=106 * PIXELS_PER_RESIDUAL)
    # 2 loss / N = 1/100 over each curvature.
    expected = torch.tensor([0.1, 0.05, 0.1, 0.01, 0.1, 1.0], dtype=torch.float64)
    torch.testing.assert_close(deviation, expected, rtol=1e-6, atol=0)


def test_of_more_parameters_fewer_residuals_are_left() -> None:
    model = diagonal([4.0] * 12, value=0.5)
    deviation = standard_deviation(model, valid_pixels=112 * PIXELS_PER_RESIDUAL)
    assert deviation.tolist() == pytest.approx([0.05] * 12)


def test_parameters_that_are_seen_together_only_are_uncertain() -> None:
    """Curvature [[1, .9], [.9, 1]]: the inverse's diagonal is 1 / (1 - .81)."""
    model = dataclasses.replace(
        diagonal([1.0, 1.0], value=0.5),
        normal_matrix=torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64),
    )
    deviation = standard_deviation(model, valid_pixels=102 * PIXELS_PER_RESIDUAL)
    assert deviation.tolist() == pytest.approx([0.1 / math.sqrt(0.19)] * 2)


def test_the_inverse_does_not_mind_units() -> None:
    matrix = torch.tensor([[4e8, 1e2], [1e2, 1e-4]], dtype=torch.float64)
    torch.testing.assert_close(
        inverse(matrix) @ matrix, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-6
    )


def test_an_unseen_axis_is_uncertain_not_infinite() -> None:
    deviation = standard_deviation(diagonal([1.0] * 5 + [0.0], value=0.5), 1000)
    assert math.isfinite(float(deviation[5]))
    assert float(deviation[5]) > 1e3


def test_the_remaining_gain_is_what_a_newton_step_promises() -> None:
    model = dataclasses.replace(
        diagonal([2.0] * 6, value=0.5), gradient=torch.ones(6, dtype=torch.float64)
    )
    assert remaining_gain(model) == pytest.approx(6 * 0.25 / 0.5)
    assert remaining_gain(diagonal([2.0] * 6, value=0.5)) == 0.0


def test_what_is_not_seen_promises_nothing() -> None:
    model = dataclasses.replace(
        diagonal([2.0] * 5 + [0.0], value=0.5), gradient=torch.ones(6, dtype=torch.float64)
    )
    assert remaining_gain(model) == pytest.approx(5 * 0.25 / 0.5)
    assert math.isnan(remaining_gain(diagonal([math.nan] * 6, value=math.nan)))


def test_equal_models_have_equal_bits_wherever_in_memory_they_lie() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn((20, 6), generator=generator, dtype=torch.float64)
    found = set()
    for offset in range(32):
        matrix = torch.empty(36 + offset, dtype=torch.float64)[offset:].view(6, 6)
        slope = torch.empty(6 + offset, dtype=torch.float64)[offset:]
        matrix.copy_(rows.T @ rows)
        slope.copy_(rows.sum(dim=0))
        model = QuadraticModel(
            value=torch.tensor(0.5, dtype=torch.float64), gradient=slope, normal_matrix=matrix
        )
        found.add((remaining_gain(model), float(inverse(matrix).sum())))
    assert len(found) == 1
