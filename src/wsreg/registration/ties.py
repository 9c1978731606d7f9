"""How bodies hold on to the first one: what is known of their relative poses before the X-ray."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.rigid import (
    inverse_left_jacobian,
    skew,
    transform_points,
    twist_between,
)
from wsreg.optimisation.quadratic_model import QuadraticModel

PIXELS_PER_RESIDUAL = 6.0
"""Neighbouring pixels err together (scatter, interpolation, anatomy that moved): about so many
count as one independent residual.  Set so that errors on simulated X-rays match what is stated."""


@dataclass(frozen=True, kw_only=True)
class Tie:
    """How far a body moves against the first one between CT and X-ray.

    Args:
        rotation_rad: standard deviation of each rotation, about the body's pivot.
        shift_mm: of each translation of the pivot.

    Raises:
        InputError: a deviation that is not positive.
    """

    rotation_rad: float
    shift_mm: float

    def __post_init__(self) -> None:
        if not (self.rotation_rad > 0 and self.shift_mm > 0):
            raise InputError(
                "rotation_rad and shift_mm of a tie must be positive, "
                f"got {self.rotation_rad} and {self.shift_mm}"
            )

    def deviations(self) -> Tensor:
        """Return [6] float64 standard deviations in the order of the pose parameters (rad, mm)."""
        return torch.tensor([self.rotation_rad] * 3 + [self.shift_mm] * 3, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class TieConfig:
    """What is assumed of the relative poses of bodies.

    Args:
        rest: of soft tissue and all that belongs to no other body.
        ball: of a bone that turns in a socket, about the centre of its head.
        loose: of a bone for which the labels tell no such centre.
        around: of all that lies around a bone that is registered by itself, so loose that the image
            decides; with that of ``rest`` a femur that had turned ended 3.8 mm off, with this 0.2.
    """

    rest: Tie = field(default_factory=lambda: Tie(rotation_rad=0.01, shift_mm=1.5))
    ball: Tie = field(default_factory=lambda: Tie(rotation_rad=0.15, shift_mm=0.5))
    loose: Tie = field(default_factory=lambda: Tie(rotation_rad=0.15, shift_mm=3.0))
    around: Tie = field(default_factory=lambda: Tie(rotation_rad=0.2, shift_mm=10.0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Ties:
    """The ties of K bodies to the first of them.

    With N independent residuals of unknown size the most likely state has the lowest
    ``loss * (1 + q / N)``, to first order in q/N, where q is the sum of squares of the relative
    poses over their deviations.  So ties weigh as much as the X-ray's noise makes them, and nothing
    where the match is perfect.

    Args:
        ties: of each body, None for the first.
        pivots_mm: [K,3] of the bodies (CT, LPS mm).
        residuals: N.
    """

    ties: tuple[Tie | None, ...]
    pivots_mm: Tensor
    residuals: float

    def squared(self, states: Tensor) -> Tensor:
        """Return [B] q of states [B,K,4,4]; differentiable."""
        terms = [
            (self._apart(states, number) * self._precision(number).sqrt()).square().sum(dim=-1)
            for number in self._tied()
        ]
        return torch.stack(terms).sum(dim=0)

    def loss(self, loss: Tensor, states: Tensor) -> Tensor:
        """Return [B] losses of states [B,K,4,4] with the ties."""
        return loss * (1.0 + self.squared(states).to(loss) / self.residuals)

    def linearize(self, model: QuadraticModel, states: Tensor) -> QuadraticModel:
        """Return the model of the loss with the ties, of its model without them."""
        of_ties = self.half_squared(states)
        scale = 1.0 + 2.0 * of_ties.value / self.residuals
        weight = 2.0 * model.value / self.residuals
        return QuadraticModel(
            value=scale * model.value,
            gradient=scale[:, None] * model.gradient + weight[:, None] * of_ties.gradient,
            normal_matrix=scale[:, None, None] * model.normal_matrix
            + weight[:, None, None] * of_ties.normal_matrix,
        )

    def half_squared(self, states: Tensor) -> QuadraticModel:
        """Return the model of q/2 at states [B,K,4,4] in their 6 K parameters."""
        count, parameters = len(states), 6 * len(self.ties)
        value = states.new_zeros(count)
        gradient = states.new_zeros((count, parameters))
        normal = states.new_zeros((count, parameters, parameters))
        for number in self._tied():
            apart, precision = self._apart(states, number), self._precision(number)
            slopes = self._slopes(states, number, apart)
            weighted = slopes * precision[:, None]
            value = value + 0.5 * (apart.square() * precision).sum(dim=-1)
            gradient = gradient + (weighted.mT @ apart[..., None])[..., 0]
            normal = normal + slopes.mT @ weighted
        return QuadraticModel(value=value, gradient=gradient, normal_matrix=normal)

    def _tied(self) -> list[int]:
        return [number for number, tie in enumerate(self.ties) if tie is not None]

    def _precision(self, number: int) -> Tensor:
        tie = self.ties[number]
        assert tie is not None
        return tie.deviations().square().reciprocal()

    def _apart(self, states: Tensor, number: int) -> Tensor:
        """Return [B,6] how a body has moved against the first, about its own pivot."""
        return twist_between(states[:, 0], states[:, number], self.pivots_mm[number])

    def _slopes(self, states: Tensor, number: int, apart: Tensor) -> Tensor:
        """Return [B,6,P] the derivative of ``_apart`` to the state's parameters."""
        slopes = states.new_zeros((len(states), 6, 6 * len(self.ties)))
        turned = inverse_left_jacobian(apart[:, :3])
        identity = torch.eye(3, dtype=states.dtype)
        own = 6 * number
        slopes[:, :3, own : own + 3] = turned
        slopes[:, 3:, own + 3 : own + 6] = identity
        # The first body's turn carries the other's pivot along, about its own.
        pivots = transform_points(states[:, 0], self.pivots_mm[[0, number]])
        slopes[:, :3, :3] = -turned.mT
        slopes[:, 3:, :3] = skew(pivots[:, 1] - pivots[:, 0])
        slopes[:, 3:, 3:6] = -identity
        return slopes
