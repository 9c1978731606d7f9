"""Linearizations add up and come from residuals."""

from __future__ import annotations

import torch
from wsreg.similarity.linearization import Linearization


def test_of_a_residual() -> None:
    residual = torch.tensor([1.0, -2.0])
    jacobian = torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    linear = Linearization.of_residual(residual, jacobian)
    assert float(linear.value) == 2.5
    assert linear.gradient.tolist() == [-5.0, -4.0]
    assert linear.normal_matrix.tolist() == [[10.0, 6.0], [6.0, 4.0]]
    double = linear + linear.scaled(2.0)
    assert float(double.value) == 7.5
    assert double.gradient.tolist() == [-15.0, -12.0]
    assert double.normal_matrix.tolist() == [[30.0, 18.0], [18.0, 12.0]]


def test_finiteness_and_choice_are_for_each_pose() -> None:
    good = Linearization(
        value=torch.zeros(2), gradient=torch.zeros(2, 3), normal_matrix=torch.zeros(2, 3, 3)
    )
    bad = Linearization(
        value=torch.tensor([0.0, torch.nan]),
        gradient=torch.ones(2, 3),
        normal_matrix=torch.ones(2, 3, 3),
    )
    assert bad.is_finite().tolist() == [True, False]
    mixed = bad.where(torch.tensor([True, False]), good)
    assert mixed.gradient[:, 0].tolist() == [1.0, 0.0]
    assert float(mixed[1].value) == 0.0


def test_a_weighted_sum_over_the_last_batch_axis() -> None:
    generator = torch.Generator().manual_seed(3)
    value, gradient, normal = (
        torch.rand(2, 3, *shape, generator=generator, dtype=torch.float64)
        for shape in ((), (6,), (6, 6))
    )
    batch = Linearization(value=value, gradient=gradient, normal_matrix=normal)
    total = batch.weighted_sum(torch.tensor([0.5, 0.0, 2.0]))
    torch.testing.assert_close(total.value, 0.5 * value[:, 0] + 2.0 * value[:, 2])
    torch.testing.assert_close(total.gradient, 0.5 * gradient[:, 0] + 2.0 * gradient[:, 2])
    torch.testing.assert_close(total.normal_matrix, 0.5 * normal[:, 0] + 2.0 * normal[:, 2])
