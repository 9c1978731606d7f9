"""Grey values on one scale, for measures that compare them as they are.

An X-ray's values have a gain and an offset of their own.  Each image is scaled so that the mean of
its darkest pixels is 0 and that of its brightest is 1, a fiftieth of the valid pixels each.  So
gain and offset do not matter, and an image against itself has no residual and no gradient.  Means
of tails hang on many pixels, where the darkest and the brightest alone would be those of noise, and
unlike quantiles they have exact derivatives.  Mean and deviation in their place would make of MSE
the global NCC once more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.similarity.masks import check_mask

TAIL = 0.02
"""Fraction of the valid pixels whose mean is either end of the scale."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GreyRange:
    """Both ends of the scale of images.

    Args:
        low: [...] mean of the darkest pixels.
        span: [...] that of the brightest less ``low``; above 0.
        darkest, brightest: [...,T] which pixels these are.
    """

    low: Tensor
    span: Tensor
    darkest: Tensor
    brightest: Tensor

    def scaled(self, pixels: Tensor) -> Tensor:
        """Return pixels [...,N] on the scale."""
        return (pixels - self.low[..., None]) / self.span[..., None]

    def scaled_columns(self, scaled: Tensor, columns: Tensor) -> Tensor:
        """Return the jacobian [...,P,N] of scaled pixels [...,N] from that of the pixels.

        The ends of the scale move, too, as the pixels that make them change.
        """
        low, high = (
            columns.gather(-1, which[..., None, :].expand(*columns.shape[:-1], -1)).mean(dim=-1)
            for which in (self.darkest, self.brightest)
        )
        ends = torch.addcmul(low[..., None], (high - low)[..., None], scaled[..., None, :])
        return (columns - ends) / self.span[..., None, None]


def grey_range(pixels: Tensor) -> GreyRange:
    """Return the scale of images with valid pixels [...,N]; differentiable."""
    count = max(1, round(TAIL * pixels.shape[-1]))
    darkest = pixels.topk(count, dim=-1, largest=False, sorted=False)
    brightest = pixels.topk(count, dim=-1, sorted=False)
    low = darkest.values.mean(dim=-1)
    span = brightest.values.mean(dim=-1) - low
    return GreyRange(
        low=low,
        span=span.clamp_min(torch.finfo(pixels.dtype).tiny),
        darkest=darkest.indices,
        brightest=brightest.indices,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchedPixels:
    """The valid pixels of a fixed image on the scale; others are compared with them there.

    Args:
        where: [N] their places in the image, row by row.
        fixed: [N] on the scale.
    """

    where: Tensor
    fixed: Tensor

    def scaled(self, moving: Tensor) -> Tensor:
        """Return [B,N] the valid pixels of moving images [B,H,W] on the scale; differentiable."""
        pixels = moving.flatten(-2)[..., self.where]
        return grey_range(pixels).scaled(pixels)

    def residual(self, moving: Tensor) -> Tensor:
        """Return [B,N] moving less fixed pixels, both on the scale; differentiable."""
        return self.scaled(moving) - self.fixed

    def linearized(self, moving: Tensor, jacobian: Tensor) -> tuple[Tensor, Tensor]:
        """Return the residual [B,N] of images with jacobian [B,H,W,P], and its own [B,P,N]."""
        pixels = moving.flatten(-2)[..., self.where]
        columns = jacobian.movedim(-1, -3).flatten(-2)[..., self.where]
        ends = grey_range(pixels)
        scaled = ends.scaled(pixels)
        return scaled - self.fixed, ends.scaled_columns(scaled, columns)


def matched_pixels(fixed: Tensor, mask: Tensor) -> MatchedPixels:
    """Prepare a fixed image [H,W] under a mask [H,W] of valid pixels.

    Raises:
        InputError: for a mask of another shape, or an empty one.
    """
    check_mask(fixed, mask)
    where = mask.bool().flatten().nonzero()[:, 0]
    pixels = fixed.flatten()[where]
    return MatchedPixels(where=where, fixed=grey_range(pixels).scaled(pixels))


def model_of_mean(value: Tensor, columns: Tensor, slope: Tensor, weight: Tensor) -> QuadraticModel:
    """Return the Gauss-Newton model of the mean over pixels of a function of the residual.

    Args:
        value: [B] the mean.
        columns: [B,P,N] jacobian of the residual.
        slope: [B,N] the function's derivative.
        weight: [B,N] or [] its curvature, at least 0, or what stands for it.
    """
    count = columns.shape[-1]
    return QuadraticModel(
        value=value.double(),
        gradient=(columns @ slope[..., None])[..., 0].double() / count,
        normal_matrix=((columns * weight[..., None, :]) @ columns.mT).double() / count,
    )
