"""What a second-order solver needs to know of an objective, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class QuadraticModel:
    """A loss near each of a batch of states: value + gradient . d + d' normal_matrix d / 2.

    All float64: value [...], gradient [...,P], normal_matrix [...,P,P] for P parameters.
    ``normal_matrix`` is Gauss-Newton's, J'J of the residuals whose half squared norm the loss is,
    so it is positive semi-definite.  Normalised terms (NCC, local NCC, Dice) have as many residuals
    as windows times pixels; they build J'J directly instead of storing J.  Terms add up.
    """

    value: Tensor
    gradient: Tensor
    normal_matrix: Tensor

    @staticmethod
    def of_residual(residual: Tensor, jacobian: Tensor) -> QuadraticModel:
        """Return the model of half the squared norm of a residual [N] with its jacobian [N,P]."""
        residual, jacobian = residual.double(), jacobian.double()
        return QuadraticModel(
            value=0.5 * residual @ residual,
            gradient=jacobian.T @ residual,
            normal_matrix=jacobian.T @ jacobian,
        )

    def __add__(self, other: QuadraticModel) -> QuadraticModel:
        return QuadraticModel(
            value=self.value + other.value,
            gradient=self.gradient + other.gradient,
            normal_matrix=self.normal_matrix + other.normal_matrix,
        )

    def scaled(self, weight: float) -> QuadraticModel:
        """Return the same objective times a weight of at least 0."""
        return QuadraticModel(
            value=weight * self.value,
            gradient=weight * self.gradient,
            normal_matrix=weight * self.normal_matrix,
        )

    def weighted_sum(self, weights: Tensor) -> QuadraticModel:
        """Return the sum over R of a batch [...,R], each times its weight [...,R] of at least 0."""
        weights = weights.double()
        return QuadraticModel(
            value=(weights * self.value).sum(dim=-1),
            gradient=(weights[..., None] * self.gradient).sum(dim=-2),
            normal_matrix=(weights[..., None, None] * self.normal_matrix).sum(dim=-3),
        )

    def is_finite(self) -> Tensor:
        """Return [...] bool, whether every number of a state's model is finite."""
        return (
            torch.isfinite(self.value)
            & torch.isfinite(self.gradient).all(dim=-1)
            & torch.isfinite(self.normal_matrix).all(dim=-1).all(dim=-1)
        )

    def __getitem__(self, index: int | Tensor) -> QuadraticModel:
        """Return the model of one state, or of some, of a batch."""
        return QuadraticModel(
            value=self.value[index],
            gradient=self.gradient[index],
            normal_matrix=self.normal_matrix[index],
        )

    def where(self, chosen: Tensor, other: QuadraticModel) -> QuadraticModel:
        """Return this model for the states that are ``chosen`` [B], the other's elsewhere."""
        return QuadraticModel(
            value=torch.where(chosen, self.value, other.value),
            gradient=torch.where(chosen[:, None], self.gradient, other.gradient),
            normal_matrix=torch.where(
                chosen[:, None, None], self.normal_matrix, other.normal_matrix
            ),
        )

    def with_entries(self, chosen: Tensor, some: QuadraticModel) -> QuadraticModel:
        """Return this batch with the entries at ``chosen`` [N] (indices) taken from ``some``."""
        return QuadraticModel(
            value=self.value.index_copy(0, chosen, some.value),
            gradient=self.gradient.index_copy(0, chosen, some.gradient),
            normal_matrix=self.normal_matrix.index_copy(0, chosen, some.normal_matrix),
        )
