"""What the quadratic model at an answer says of its uncertainty and of how far it converged."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.optimisation.small_matrices import eigh_small
from wsreg.registration.ties import PIXELS_PER_RESIDUAL


def covariance(model: QuadraticModel, valid_pixels: float) -> Tensor:
    """Return [P,P] float64 covariance of the parameters (rad, mm) of one state.

    The loss is half a mean of squared residuals: with N independent residuals the covariance is
    (2 loss / N) normal_matrix^-1.

    Args:
        model: at the answer, of an image's loss, or of the mean over several images.
        valid_pixels: of all of these images together.
    """
    independent = max(valid_pixels / PIXELS_PER_RESIDUAL - model.gradient.shape[-1], 1.0)
    return inverse(model.normal_matrix) * (2.0 * model.value.clamp_min(0) / independent)


def inverse(normal_matrix: Tensor) -> Tensor:
    """Return the inverse of a normal matrix [P,P], large but finite where nothing is seen."""
    scale = normal_matrix.diagonal().clamp_min(1e-30).sqrt()
    values, vectors = eigh_small(normal_matrix / torch.outer(scale, scale))
    found: Tensor = (vectors / values.clamp_min(1e-12)) @ vectors.T / torch.outer(scale, scale)
    return found


PERFECT_LOSS = 1e-3
"""A gain is measured against at least this loss: what is below is the rounding of float32."""


def remaining_gain(model: QuadraticModel) -> float:
    """Return the fraction of one state's loss that a full Gauss-Newton step still promises.

    Along what is not seen at all a step promises nothing; NaN where the model is not finite.
    """
    if not bool(torch.isfinite(model.normal_matrix).all()):
        return math.nan
    curvature, directions = eigh_small(model.normal_matrix)
    slopes = directions.T @ model.gradient
    least = len(curvature) * torch.finfo(curvature.dtype).eps * curvature.abs().max()
    promised = 0.5 * float((slopes.square() / curvature)[curvature > least].sum())
    return promised / max(float(model.value), PERFECT_LOSS)
