"""Overlap of the X-ray's regions with those that a network finds in the rendered image.

The paper's scheme (section 2.2).  It has a gradient only: Gauss-Newton does not take it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from wsreg.registration.projection import Projection
from wsreg.registration.terms.config import RoiConfig
from wsreg.registration.terms.roi_masks import RoiMasks


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkRoiTerm:
    """The regions that take part, compared with what a network makes of the projection's image.

    Args:
        regions: in the X-ray, on the image's grid.
        segmenter: images [B,1,H,W] -> probabilities [B,R,H,W], differentiable.
        config: weights.
    """

    reads_image: ClassVar[bool] = True

    regions: RoiMasks
    segmenter: Callable[[Tensor], Tensor]
    config: RoiConfig

    def masks(self, projection: Projection) -> Tensor:
        """Return [B,R,H,W] the regions found in the rendered images; differentiable."""
        return self.segmenter(projection.image[:, None]).to(self.regions.target)

    def dice(self, projection: Projection) -> Tensor:
        """Return [B,R] Dice of the regions."""
        return self.regions.dice(self.masks(projection))

    def loss(self, projection: Projection) -> Tensor:
        """Return [B] the loss; differentiable."""
        return self.regions.loss(self.masks(projection), self.config)
