"""How well an answer is known: what the images leave open, and what the calibrations do."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.registration.verdict.calibration import (
    CAUSES,
    CalibrationTolerance,
    calibration_covariances,
    calibration_shifts,
)
from wsreg.registration.verdict.deviation import covariance
from wsreg.registration.verdict.evaluation import Evaluation

IMAGE = "image"
ANATOMY = "anatomy"
MOVED_ANATOMY, MOVED_REST = 6.0, 1.5
"""Errors over what the image's noise explains, where soft tissue and joints moved since the CT: of
one body, and of several that move by themselves, where only what is not rigid is left.  Set so that
on the virtual people of the choosing half of ``benchmarks/verdict.py`` nine in ten are within twice
the whole; CTs that are as they were need no more than 1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Uncertainty:
    """Standard deviations of a state's parameters about the first camera's axes.

    Args:
        shares: [C,P] float64 of each cause by itself (rad, mm), of ``causes``; NaN if not known.
        depth_per_percent_mm: how far the first body moves along the rays as every view's distance
            over pixel spacing grows by a percent; NaN if not known.
        causes: their names: the image's noise, anatomy that moved since the CT (more of the same,
            for it is seen through the same image), and the calibration's.
    """

    shares: Tensor
    depth_per_percent_mm: float = math.nan
    causes: tuple[str, ...] = (IMAGE, ANATOMY, *CAUSES)

    @property
    def total(self) -> Tensor:
        """Return [P] the standard deviations of all causes together."""
        return self.shares.square().sum(dim=0).sqrt()

    def of_depth(self) -> dict[str, float]:
        """Return each cause's standard deviation of the first body along the rays, mm."""
        return dict(zip(self.causes, self.shares[:, 5].tolist(), strict=True))

    def of_body(self, number: int) -> tuple[Tensor, Tensor]:
        """Return [6] a body's deviations by all causes, and [6] those by the image's noise."""
        own = slice(6 * number, 6 * number + 6)
        return self.total[own], self.shares[0, own]


def together(deviations: Iterable[float]) -> float:
    """Return the standard deviation of a sum of independent errors."""
    return math.hypot(*deviations)


def uncertainty_of(
    end: Evaluation, camera_from_rig: Tensor, tolerance: CalibrationTolerance
) -> Uncertainty:
    """Return the uncertainty of an answer, which was projected with derivatives.

    Args:
        end: the answer at the finest level.
        camera_from_rig: [4,4] of the camera about whose axes the deviations are told.
        tolerance: of every view's calibration.
    """
    level, model = end.level, end.image_model()
    shifts = calibration_shifts(level, end.state, end.projections)
    if model is None or shifts is None:
        nothing = torch.full((2 + len(CAUSES), 6 * len(level.bodies)), torch.nan)
        return Uncertainty(shares=nothing.double())
    valid_pixels = sum(float(view.mask.sum()) for view in level.views)
    of_image = covariance(model, valid_pixels)[None]
    factor = MOVED_ANATOMY if len(level.bodies) == 1 else MOVED_REST
    of_anatomy = (factor**2 - 1.0) * of_image
    of_calibration = calibration_covariances(level, shifts, tolerance)
    covariances = torch.cat((of_image, of_anatomy, of_calibration))
    turned = torch.block_diag(*[camera_from_rig[:3, :3]] * (2 * len(level.bodies)))
    variances = (turned @ covariances @ turned.T).diagonal(dim1=-2, dim2=-1)
    grown = turned @ shifts[..., 0].sum(dim=0)
    return Uncertainty(
        shares=variances.clamp_min(0.0).sqrt(), depth_per_percent_mm=0.01 * float(grown[5])
    )
