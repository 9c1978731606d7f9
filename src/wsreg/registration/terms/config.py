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
    """

    dice_weight: float = 0.1
    distance_weight: float = 1.0
