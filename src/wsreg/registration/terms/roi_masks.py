"""The regions of one X-ray on the grid on which they are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.radiographs.resample import area_mean
from wsreg.registration.terms.config import RoiConfig
from wsreg.segmentation.rois import RoiTarget
from wsreg.similarity.chamfer import distance_maps, mean_distances
from wsreg.similarity.moments import LEAST_MASS, Moments, moment_residuals, moments
from wsreg.similarity.soft_dice import present, soft_dice


@dataclass(frozen=True, kw_only=True, eq=False)
class RoiMasks:
    """The R regions of an X-ray that take part.

    Args:
        names: of the regions.
        target: [R,H,W] their masks in the X-ray.
        distances: [R,H,W] from them, as fractions of the longer side.
        valid: [R,H,W] bool, where pixels take part.
        moments: of the masks there.
    """

    names: tuple[str, ...]
    target: Tensor
    distances: Tensor
    valid: Tensor
    moments: Moments

    def dice(self, masks: Tensor) -> Tensor:
        """Return [B,R] Dice of moving masks [B,R,H,W]."""
        return soft_dice(self.target, masks, self.valid)

    def loss(self, masks: Tensor, config: RoiConfig) -> Tensor:
        """Return [B] the loss of moving masks [B,R,H,W]; differentiable to them."""
        total = masks.new_zeros(masks.shape[:-2])
        if config.dice_weight or config.distance_weight:
            apart = 1.0 - self.dice(masks)
            distance = mean_distances(self.target, self.distances, masks, self.valid)
            by_distance = 0.5 * config.distance_weight * distance.square()
            total = total + robust(apart, config)[0] * (config.dice_weight + by_distance)
        if config.moments_weight:
            moving = moments(masks, self.valid, LEAST_MASS * self.moments.mass)
            residual = moment_residuals(self.moments, moving, max(masks.shape[-2:]))
            apart = 0.5 * residual.square().sum(dim=-1)
            total = total + config.moments_weight * robust(apart, config)[0]
        return total.mean(dim=-1)


def robust(apart: Tensor, config: RoiConfig) -> tuple[Tensor, Tensor]:
    """Return what becomes of parts of a loss, and the slope of it (Geman and McClure)."""
    if config.robust_scale <= 0:
        return apart, torch.ones_like(apart)
    shrink = (1.0 + apart / config.robust_scale).reciprocal()
    return apart * shrink, shrink.square()


def masks_on_grid(
    rois: RoiTarget, valid: Tensor, size: tuple[int, int], wanted: Sequence[bool]
) -> tuple[RoiMasks, list[int]] | None:
    """Return the regions on a grid and which of the target's they are; None if none shows.

    Args:
        rois: on the X-ray's own grid, as is ``valid`` [H,W], the X-ray's usable pixels.
        size: rows and columns of the grid.
        wanted: whether each of the target's regions may take part.
    """
    if not rois.names:
        return None
    known = rois.known_where(valid)
    target = torch.stack([area_mean(mask.float(), *size) for mask in rois.masks])
    usable = torch.stack([area_mean(part.float(), *size) for part in known]) >= 0.5
    shown = present(target, usable).tolist()
    chosen = [n for n, (here, want) in enumerate(zip(shown, wanted, strict=True)) if here and want]
    if not chosen:
        return None
    masks = RoiMasks(
        names=tuple(rois.names[number] for number in chosen),
        target=target[chosen],
        distances=distance_maps(target[chosen]),
        valid=usable[chosen],
        moments=moments(target[chosen], usable[chosen]),
    )
    return masks, chosen
