"""Overlap of the X-ray's regions with labels rendered from the CT; distance while it is small."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration.projection import Projection
from wsreg.registration.terms.config import RoiConfig
from wsreg.registration.terms.roi_masks import RoiMasks, robust
from wsreg.segmentation.rendered import soft_masks
from wsreg.similarity.chamfer import linearize_each_distance
from wsreg.similarity.moments import Moments, linearize_each_moments, moments
from wsreg.similarity.soft_dice import linearize_each_dice

CURVATURE_POWER = 3
"""Gauss-Newton's curvature of 1 - Dice holds where masks overlap.  Where they hardly do, the loss
is flat and that curvature only shortens the steps that the distance asks for, so it is taken times
this power of Dice.  Measured: 92 % of descents from 150 mm away arrive, and none without it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedRoiTerm:
    """The regions that take part, compared with the projection's path lengths.

    Args:
        regions: in the X-ray.
        sharpness_per_mm: what makes a soft mask of a path length.
        config: weights.
    """

    reads_image: ClassVar[bool] = False

    regions: RoiMasks
    sharpness_per_mm: float
    config: RoiConfig

    def masks(self, projection: Projection) -> Tensor:
        """Return [B,R,H,W] the regions of the CT; differentiable."""
        return soft_masks(projection.roi_lengths_mm, self.sharpness_per_mm)

    def dice(self, projection: Projection) -> Tensor:
        """Return [B,R] Dice of the regions."""
        return self.regions.dice(self.masks(projection))

    def loss(self, projection: Projection) -> Tensor:
        """Return [B] the loss; differentiable."""
        return self.regions.loss(self.masks(projection), self.config)

    def linearize(self, projection: Projection) -> QuadraticModel:
        """Return the model of the loss."""
        masks = self.masks(projection)
        slope = self.sharpness_per_mm * (1.0 - masks)
        return self._linearized(masks, projection.roi_jacobian * slope[..., None])

    def misplaced(self, projection: Projection) -> tuple[Tensor, Tensor]:
        """Return how the regions of the CT lie as a whole against those of the X-ray.

        Returns:
            [B,2] how far their common centroid is off (column, row), pixels, and [B] how many
            times as large they are, in length.
        """
        regions = self.regions
        seen, fixed = moments(self.masks(projection), regions.valid), regions.moments
        centre, mass = _whole(seen)
        target, target_mass = _whole(fixed)
        return centre - target, (mass / target_mass).sqrt()

    def _linearized(self, masks: Tensor, jacobian: Tensor) -> QuadraticModel:
        """Return the model of all parts of the loss, of masks [B,R,H,W] with jacobian [...,P]."""
        parts = []
        if self.config.dice_weight or self.config.distance_weight:
            parts.append(self._of_overlap(masks, jacobian))
        if self.config.moments_weight:
            parts.append(self._of_moments(masks, jacobian).scaled(self.config.moments_weight))
        if not parts:
            return _nothing(masks, jacobian.shape[-1])
        each = functools.reduce(operator.add, parts)
        count = len(self.regions.names)
        return each.weighted_sum(torch.full((count,), 1.0 / count))

    def _of_overlap(self, masks: Tensor, jacobian: Tensor) -> QuadraticModel:
        """Return the model of Dice and distance of each region."""
        target, valid = self.regions.target, self.regions.valid
        apart = linearize_each_dice(target, masks, jacobian, valid)
        distance = linearize_each_distance(target, self.regions.distances, masks, jacobian, valid)
        factor = self.config.dice_weight + self.config.distance_weight * distance.value
        shrunk, counted = robust(apart.value, self.config)
        slope = self.config.distance_weight * shrunk
        trusted = counted * factor * (1.0 - apart.value).clamp_min(0) ** CURVATURE_POWER
        return QuadraticModel(
            value=shrunk * factor,
            gradient=(counted * factor)[..., None] * apart.gradient
            + slope[..., None] * distance.gradient,
            normal_matrix=trusted[..., None, None] * apart.normal_matrix
            + slope[..., None, None] * distance.normal_matrix,
        )

    def _of_moments(self, masks: Tensor, jacobian: Tensor) -> QuadraticModel:
        """Return the model of the moments of each region."""
        regions = self.regions
        each = linearize_each_moments(regions.moments, masks, jacobian, regions.valid)
        value, counted = robust(each.value, self.config)
        return QuadraticModel(
            value=value,
            gradient=counted[..., None] * each.gradient,
            normal_matrix=counted[..., None, None] * each.normal_matrix,
        )


def _nothing(masks: Tensor, parameters: int) -> QuadraticModel:
    """Return the model of a loss that is zero everywhere."""
    batch = masks.shape[:-3]
    return QuadraticModel(
        value=torch.zeros(batch, dtype=torch.float64),
        gradient=torch.zeros((*batch, parameters), dtype=torch.float64),
        normal_matrix=torch.zeros((*batch, parameters, parameters), dtype=torch.float64),
    )


def _whole(of_regions: Moments) -> tuple[Tensor, Tensor]:
    """Return ([...,2] centroid, [...] mass) of all regions together."""
    mass = of_regions.mass.sum(dim=-1)
    weighted = of_regions.mass[..., None] * of_regions.centroid
    return weighted.sum(dim=-2) / mass.clamp_min(1e-6)[..., None], mass
