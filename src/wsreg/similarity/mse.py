"""The mean squared error of grey values on one scale; see :mod:`wsreg.similarity.grey_range`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.similarity.grey_range import MatchedPixels, matched_pixels, model_of_mean


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedMse:
    """A fixed image prepared for the mean squared error."""

    pixels: MatchedPixels

    def loss(self, moving: Tensor) -> Tensor:
        """Return [B] mean squared errors of moving images [B,H,W]; differentiable."""
        return self.pixels.residual(moving).square().mean(dim=-1)

    def similarity(self, moving: Tensor) -> Tensor:
        """Return [B] one less the mean squared error: 1 for a perfect match."""
        return 1.0 - self.loss(moving)

    def linearize(self, moving: Tensor, jacobian: Tensor) -> QuadraticModel:
        """Return the model of the loss of moving images [B,H,W] with jacobian [B,H,W,P]."""
        residual, columns = self.pixels.linearized(moving, jacobian)
        value = residual.square().mean(dim=-1)
        return model_of_mean(value, columns, 2.0 * residual, torch.full_like(residual, 2.0))


@dataclass(frozen=True, kw_only=True)
class Mse:
    """The mean squared error."""

    name: ClassVar[str] = "mse"
    least_squares: ClassVar[bool] = True

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedMse:
        """Prepare a fixed image [H,W] under a mask [H,W]."""
        return PreparedMse(pixels=matched_pixels(fixed, mask))
