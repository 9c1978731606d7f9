"""Quadratic models: from residuals, added up, picked from, and in other parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel


def random_model(*batch: int, parameters: int = 6, seed: int = 3) -> QuadraticModel:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.rand(*batch, *shape, generator=generator, dtype=torch.float64)

    root = random(parameters, parameters)
    return QuadraticModel(value=random(), gradient=random(parameters), normal_matrix=root @ root.mT)


def test_of_a_residual() -> None:
    residual = torch.tensor([1.0, -2.0])
    jacobian = torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    model = QuadraticModel.of_residual(residual, jacobian)
    assert float(model.value) == 2.5
    assert model.gradient.tolist() == [-5.0, -4.0]
    assert model.normal_matrix.tolist() == [[10.0, 6.0], [6.0, 4.0]]
    double = model + model.scaled(2.0)
    assert float(double.value) == 7.5
    assert double.gradient.tolist() == [-15.0, -12.0]
    assert double.normal_matrix.tolist() == [[30.0, 18.0], [18.0, 12.0]]


def test_finiteness_and_choice_are_for_each_state() -> None:
    good = QuadraticModel(
        value=torch.zeros(2), gradient=torch.zeros(2, 3), normal_matrix=torch.zeros(2, 3, 3)
    )
    bad = QuadraticModel(
        value=torch.tensor([0.0, torch.nan]),
        gradient=torch.ones(2, 3),
        normal_matrix=torch.ones(2, 3, 3),
    )
    assert bad.is_finite().tolist() == [True, False]
    mixed = bad.where(torch.tensor([True, False]), good)
    assert mixed.gradient[:, 0].tolist() == [1.0, 0.0]
    assert mixed.normal_matrix[:, 0, 0].tolist() == [1.0, 0.0]
    assert float(mixed[1].value) == 0.0


def test_one_infinite_slope_or_curvature_is_enough() -> None:
    for name in ("gradient", "normal_matrix"):
        model = random_model(2)
        getattr(model, name)[1].view(-1)[4] = torch.inf
        assert model.is_finite().tolist() == [True, False], name


def test_a_weighted_sum_over_the_last_batch_axis() -> None:
    batch = random_model(2, 3)
    total = batch.weighted_sum(torch.tensor([0.5, 0.0, 2.0]))
    for name in ("value", "gradient", "normal_matrix"):
        each = getattr(batch, name)
        torch.testing.assert_close(getattr(total, name), 0.5 * each[:, 0] + 2.0 * each[:, 2])


def test_entries_are_put_at_their_places() -> None:
    batch, some = random_model(4), random_model(2, seed=4)
    mixed = batch.with_entries(torch.tensor([3, 1]), some)
    for name in ("value", "gradient", "normal_matrix"):
        new, old, put = (getattr(model, name) for model in (mixed, batch, some))
        assert torch.equal(new, torch.stack((old[0], put[1], old[2], put[0]))), name
