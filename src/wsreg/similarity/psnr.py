"""The peak signal-to-noise ratio of grey values on one scale.

It is the mean squared error on a logarithmic scale, -10 log10(MSE + 1e-6) dB for a peak of 1, so
that a perfect match has 60 dB and a gradient of zero.  The loss is 1 - PSNR / 60 dB.  Every pose is
ranked as by MSE; near a match the loss is steeper, far from it flatter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.similarity.mse import Mse, PreparedMse

NOISE_FLOOR = 1e-6
"""Added to the mean squared error; 60 dB below the peak."""
HIGHEST_DB = -10.0 * math.log10(NOISE_FLOOR)
_PER_FACTOR_E = 10.0 / (HIGHEST_DB * math.log(10.0))
"""Of the loss: how much it grows as the mean squared error grows e times."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedPsnr:
    """A fixed image prepared for PSNR."""

    mse: PreparedMse

    def decibels(self, moving: Tensor) -> Tensor:
        """Return [B] PSNR of moving images [B,H,W] in dB, 60 for a perfect match."""
        return HIGHEST_DB * self.similarity(moving)

    def loss(self, moving: Tensor) -> Tensor:
        """Return [B] the fraction of 60 dB that moving images [B,H,W] lack; differentiable."""
        return _PER_FACTOR_E * torch.log1p(self.mse.loss(moving) / NOISE_FLOOR)

    def similarity(self, moving: Tensor) -> Tensor:
        """Return [B] PSNR as a fraction of 60 dB: 1 for a perfect match."""
        return 1.0 - self.loss(moving)

    def linearize(self, moving: Tensor, jacobian: Tensor) -> QuadraticModel:
        """Return the model of the loss of moving images [B,H,W] with jacobian [B,H,W,P].

        It is that of MSE times the logarithm's slope; the logarithm bends down, and what that adds
        to the curvature is left out, so that no curvature is negative.
        """
        model = self.mse.linearize(moving, jacobian)
        slope = _PER_FACTOR_E / (model.value + NOISE_FLOOR)
        return QuadraticModel(
            value=_PER_FACTOR_E * torch.log1p(model.value / NOISE_FLOOR),
            gradient=slope[..., None] * model.gradient,
            normal_matrix=slope[..., None, None] * model.normal_matrix,
        )


@dataclass(frozen=True, kw_only=True)
class Psnr:
    """The peak signal-to-noise ratio."""

    name: ClassVar[str] = "psnr"
    least_squares: ClassVar[bool] = True

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedPsnr:
        """Prepare a fixed image [H,W] under a mask [H,W]."""
        return PreparedPsnr(mse=Mse().prepare(fixed, mask))
