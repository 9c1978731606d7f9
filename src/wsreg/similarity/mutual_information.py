"""Mutual information: how much the grey values of one image tell of those of the other.

Of a joint histogram with cubic B-splines as windows, which makes it smooth (Thevenaz and Unser,
"Optimization of mutual information for multiresolution image registration", 2000; Mattes et al.,
2003, with a box for the fixed image).  It alone takes images whose grey values are related in any
way, even turned round.

Mutual information with the fixed image favours moving images that tell more of anything, so that
its best pose need not be the true one.  Here it is divided by what each image tells of itself:

    1 - I(f,m) / sqrt(I(f,f) I(m,m))

Both sides have the same windows, so I is symmetric: as m moves away from f, I(m,m) changes twice as
fast as I(f,m), and the ratio does not change to first order.  A perfect match has no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.similarity.grey_range import MatchedPixels, matched_pixels

LEAST_INFORMATION = 1e-6
"""An image that tells less of itself is taken for flat."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedMutualInformation:
    """A fixed image prepared for mutual information.

    Args:
        pixels: of it.
        bins: number of them.
        fixed: [N,bins] the share that each bin has of each pixel.
        of_itself: [] what it tells of itself.
    """

    pixels: MatchedPixels
    bins: int
    fixed: Tensor
    of_itself: Tensor

    def similarity(self, moving: Tensor) -> Tensor:
        """Return [B] the share of common information of moving images [B,H,W]; 1 if they match."""
        shares = bin_shares(self.pixels.scaled(moving), self.bins)
        common = mutual_information(self.fixed, shares)
        of_moving = mutual_information(shares, shares).clamp_min(LEAST_INFORMATION)
        return common / (self.of_itself * of_moving).sqrt()

    def loss(self, moving: Tensor) -> Tensor:
        """Return [B] one less the similarity of moving images [B,H,W]; differentiable."""
        return (1.0 - self.similarity(moving)).clamp_min(0)


@dataclass(frozen=True, kw_only=True)
class MutualInformation:
    """Mutual information; it is no sum of squares.

    Args:
        bins: of the histogram, for each image.

    Raises:
        InputError: fewer than 5 bins, which splines need, or no whole number of them.
    """

    name: ClassVar[str] = "mutual-information"
    least_squares: ClassVar[bool] = False

    bins: int = 32

    def __post_init__(self) -> None:
        if not (isinstance(self.bins, int) and self.bins >= 5):
            raise InputError(
                f"bins of mutual-information must be a whole number of at least 5, got {self.bins}"
            )

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedMutualInformation:
        """Prepare a fixed image [H,W] under a mask [H,W]."""
        pixels = matched_pixels(fixed, mask)
        shares = bin_shares(pixels.fixed, self.bins)
        return PreparedMutualInformation(
            pixels=pixels,
            bins=self.bins,
            fixed=shares,
            of_itself=mutual_information(shares, shares).clamp_min(LEAST_INFORMATION),
        )


def bin_shares(scaled: Tensor, bins: int) -> Tensor:
    """Return [...,N,bins] the share of each bin in pixels [...,N] on the scale; their sum is 1.

    The scale's ends are the second bin and the last but one; what lies beyond counts as an end.
    """
    places = 1.0 + (bins - 3) * scaled.clamp(0.0, 1.0)
    numbers = torch.arange(bins, dtype=scaled.dtype, device=scaled.device)
    apart = (places[..., None] - numbers).abs()
    wide, narrow = ((reach - apart).clamp_min(0) for reach in (2.0, 1.0))
    return (wide * wide.square() - 4.0 * narrow * narrow.square()) / 6.0


def mutual_information(one: Tensor, other: Tensor) -> Tensor:
    """Return [...] mutual information in nats of pixels with shares of bins [...,N,bins] each."""
    joint = one.mT @ other / one.shape[-2]
    singles = _entropy(joint.sum(dim=-1)).sum(dim=-1) + _entropy(joint.sum(dim=-2)).sum(dim=-1)
    return singles - _entropy(joint).sum(dim=(-2, -1))


def _entropy(probabilities: Tensor) -> Tensor:
    return -probabilities * probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()
