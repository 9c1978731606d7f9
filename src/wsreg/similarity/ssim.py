"""Structural similarity of grey values on one scale.

The mean over pixels of the product of how alike brightness, contrast and structure are around each,
with a Gaussian window of 11 x 11 pixels (Wang et al., "Image quality assessment: from error
visibility to structural similarity", 2004).  Statistics are those of the valid pixels.  It is no
sum of squares, so that Gauss-Newton does not take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from wsreg.similarity.grey_range import grey_range
from wsreg.similarity.masks import check_mask

SIGMA_PX, RADIUS_PX = 1.5, 5
C1, C2 = 0.01**2, 0.03**2
"""Wang's constants, for grey values that range over 1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedSsim:
    """A fixed image prepared for SSIM.

    Args:
        valid: [H,W] 1 where the mask is true.
        rows: [H,H] and ``columns`` [W,W], the Gaussian window along either, as matrices.
        weight: [H,W] what the window has of valid pixels; 1 where none are.
        fixed: [H,W] on the scale, 0 where not valid.
        mean, variance: [H,W] of ``fixed`` around each pixel.
    """

    valid: Tensor
    rows: Tensor
    columns: Tensor
    weight: Tensor
    fixed: Tensor
    mean: Tensor
    variance: Tensor

    def map(self, moving: Tensor) -> Tensor:
        """Return [B,H,W] SSIM of moving images around each pixel; where not valid it is nothing."""
        image = scaled_image(moving, self.valid)
        products = torch.stack((image, image.square(), image * self.fixed))
        mean, square, product = around(products, self.rows, self.columns, self.weight)
        both = mean * self.mean
        brightness = (2.0 * both + C1) / (mean.square() + self.mean.square() + C1)
        variances = square - mean.square() + self.variance
        ssim: Tensor = brightness * (2.0 * (product - both) + C2) / (variances + C2)
        return ssim

    def similarity(self, moving: Tensor) -> Tensor:
        """Return [B] mean SSIM of moving images [B,H,W]: 1 for a perfect match."""
        return (self.map(moving) * self.valid).sum(dim=(-2, -1)) / self.valid.sum()

    def loss(self, moving: Tensor) -> Tensor:
        """Return [B] one less mean SSIM of moving images [B,H,W]; differentiable."""
        return (1.0 - self.similarity(moving)).clamp_min(0)


@dataclass(frozen=True, kw_only=True)
class Ssim:
    """Structural similarity."""

    name: ClassVar[str] = "ssim"
    least_squares: ClassVar[bool] = False

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedSsim:
        """Prepare a fixed image [H,W] under a mask [H,W]."""
        check_mask(fixed, mask)
        valid = mask.to(fixed)
        rows, columns = (gaussian_matrix(side, fixed) for side in fixed.shape)
        weight = torch.where(mask.bool(), rows @ valid @ columns, 1.0)
        image = scaled_image(fixed, valid)
        mean, square = around(torch.stack((image, image.square())), rows, columns, weight)
        return PreparedSsim(
            valid=valid, rows=rows, columns=columns, weight=weight,
            fixed=image, mean=mean, variance=square - mean.square(),
        )  # fmt: skip


def scaled_image(images: Tensor, valid: Tensor) -> Tensor:
    """Return images [...,H,W] on the scale of their valid pixels, and 0 elsewhere."""
    ends = grey_range(images[..., valid.bool()])
    return ends.scaled(images.flatten(-2)).reshape(images.shape) * valid


def around(images: Tensor, rows: Tensor, columns: Tensor, weight: Tensor) -> Tensor:
    """Return the means of images [...,H,W], which are 0 where not valid, around each pixel."""
    return rows @ images @ columns / weight


def gaussian_matrix(side: int, like: Tensor) -> Tensor:
    """Return [side,side] symmetric, the weight that each pixel has around each other one."""
    places = torch.arange(side, dtype=like.dtype, device=like.device)
    apart = (places[:, None] - places).abs()
    offsets = torch.arange(-RADIUS_PX, RADIUS_PX + 1, dtype=like.dtype, device=like.device)
    total = torch.exp(-0.5 * (offsets / SIGMA_PX).square()).sum()
    weight = torch.exp(-0.5 * (apart / SIGMA_PX).square()) / total
    return torch.where(apart <= RADIUS_PX, weight, 0.0)
