"""Settings of the terms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RoiConfig:
    """Weights of the regions of interest beside the image's loss.

    Args:
        dice_weight: of 1 - Dice (the paper's beta_2).
        distance_weight: of half the squared distance times 1 - Dice, so that it fades as overlap
            comes; distances are fractions of the image's longer side.
        moments_weight: of half the squared difference of size, place and axes
            (:mod:`wsreg.similarity.moments`), of rendered regions.
        robust_scale: r; a region's part e of the loss, without the weight, becomes e / (1 + e/r),
            so that one which cannot agree counts less; 0 for none.
    """

    dice_weight: float = 0.1
    distance_weight: float = 1.0
    moments_weight: float = 0.0
    robust_scale: float = 0.0
