"""The mean absolute error of grey values on one scale; see :mod:`wsreg.similarity.grey_range`.

An absolute value has a kink, so the smallest ones go over into a parabola (Huber, 1964): a perfect
match has no loss and no gradient.  Gauss-Newton takes it as squares that are weighted anew at each
step (iteratively reweighted least squares), each by the inverse of its residual's size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.similarity.grey_range import MatchedPixels, matched_pixels, model_of_mean


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedMae:
    """A fixed image prepared for the mean absolute error; ``rounding`` as in :class:`Mae`."""

    pixels: MatchedPixels
    rounding: float

    def loss(self, moving: Tensor) -> Tensor:
        """Return [B] mean absolute errors of moving images [B,H,W]; differentiable."""
        return self._mean(self.pixels.residual(moving))

    def similarity(self, moving: Tensor) -> Tensor:
        """Return [B] one less the mean absolute error: 1 for a perfect match."""
        return 1.0 - self.loss(moving)

    def linearize(self, moving: Tensor, jacobian: Tensor) -> QuadraticModel:
        """Return the model of the loss of moving images [B,H,W] with jacobian [B,H,W,P]."""
        residual, columns = self.pixels.linearized(moving, jacobian)
        weight = residual.abs().clamp_min(self.rounding).reciprocal()
        return model_of_mean(self._mean(residual), columns, weight * residual, weight)

    def _mean(self, residual: Tensor) -> Tensor:
        size = residual.abs()
        near = 0.5 * residual.square() / self.rounding
        return torch.where(size > self.rounding, size - 0.5 * self.rounding, near).mean(dim=-1)


@dataclass(frozen=True, kw_only=True)
class Mae:
    """The mean absolute error.

    Args:
        rounding: residuals up to this size, as a fraction of the scale, count by their squares.

    Raises:
        InputError: a rounding that is not above 0, or not finite.
    """

    name: ClassVar[str] = "mae"
    least_squares: ClassVar[bool] = True

    rounding: float = 1e-3

    def __post_init__(self) -> None:
        if not (self.rounding > 0 and math.isfinite(self.rounding)):
            raise InputError(f"rounding of mae must be above 0 and finite, got {self.rounding}")

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedMae:
        """Prepare a fixed image [H,W] under a mask [H,W]."""
        return PreparedMae(pixels=matched_pixels(fixed, mask), rounding=self.rounding)
