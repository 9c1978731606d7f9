"""What a second-order solver needs to know of an objective at one pose, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Linearization:
    """A loss near one pose: value + gradient . d + d' normal_matrix d / 2, all float64.

    ``normal_matrix`` is Gauss-Newton's, J'J of the residuals whose half squared norm the loss is,
    so it is positive semi-definite.  Normalised terms (NCC, local NCC, Dice) have as many residuals
    as windows times pixels; they build J'J directly instead of storing J.  Terms add up.
    """

    value: Tensor
    gradient: Tensor
    normal_matrix: Tensor

    @staticmethod
    def of_residual(residual: Tensor, jacobian: Tensor) -> Linearization:
        """Of half the squared norm of a residual [N] with its jacobian [N,P]."""
        residual, jacobian = residual.double(), jacobian.double()
        return Linearization(
            value=0.5 * residual @ residual,
            gradient=jacobian.T @ residual,
            normal_matrix=jacobian.T @ jacobian,
        )

    def __add__(self, other: Linearization) -> Linearization:
        return Linearization(
            value=self.value + other.value,
            gradient=self.gradient + other.gradient,
            normal_matrix=self.normal_matrix + other.normal_matrix,
        )

    def scaled(self, weight: float) -> Linearization:
        """The same objective times a weight of at least 0."""
        return Linearization(
            value=weight * self.value,
            gradient=weight * self.gradient,
            normal_matrix=weight * self.normal_matrix,
        )

    def is_finite(self) -> bool:
        """Whether every number in it is finite."""
        return bool(
            torch.isfinite(self.value)
            & torch.isfinite(self.gradient).all()
            & torch.isfinite(self.normal_matrix).all()
        )
