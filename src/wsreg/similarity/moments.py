"""Size, place and axes of regions of interest: their moments, compared.

Area, centroid and second moments of a mask change smoothly with a pose wherever the region is, so
they lead from far away, also in rotation, where overlap says nothing.  They are compared as eight
numbers without unit: half the logarithm of the ratio of the areas, the shift of the centroid as a
fraction of the image's longer side, and the difference of the second moments (axes and their
directions) as a fraction of the fixed region's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel

LEAST_MASS = 1e-3
"""As a fraction of the fixed mask: what has less in view is treated as if it had so much."""
SHIFT_WEIGHT, SIZE_WEIGHT, AXES_WEIGHT = 4.0, 1.0, 0.5
"""Measured: a centroid is known better than a size, and a size than axes."""
NUMBERS = 6
"""Residuals of each region."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Moments of R regions.

    Args:
        mass: [...,R] sum of the mask, pixels.
        centroid: [...,R,2] (column, row), pixels.
        spread: [...,R,3] second central moments xx, xy, yy, square pixels.
    """

    mass: Tensor
    centroid: Tensor
    spread: Tensor


def moments(masks: Tensor, valid: Tensor, least: Tensor | float = 0.0) -> Moments:
    """Return the moments of masks [...,R,H,W] where ``valid`` [H,W] or [R,H,W]; differentiable.

    Regions with less mass than ``least`` [R] are divided by that.
    """
    weighted = masks * valid.to(masks)
    x, y = _coordinates(masks)
    mass = weighted.sum(dim=(-2, -1))
    divisor = torch.maximum(mass, torch.as_tensor(least).to(mass)).clamp_min(1e-12)
    by_column, by_row = weighted.sum(dim=-2), weighted.sum(dim=-1)
    cx, cy = (by_column @ x) / divisor, (by_row @ y) / divisor
    xx = (by_column @ x.square()) / divisor - cx.square()
    yy = (by_row @ y.square()) / divisor - cy.square()
    xy = ((weighted @ x) @ y) / divisor - cx * cy
    return Moments(
        mass=mass,
        centroid=torch.stack((cx, cy), dim=-1),
        spread=torch.stack((xx, xy, yy), dim=-1),
    )


def moment_residuals(target: Moments, moving: Moments, longer_side_px: int) -> Tensor:
    """Return [...,R,6] how moving moments differ from those of a target; see the module."""
    least = LEAST_MASS * target.mass
    size = 0.5 * torch.log(torch.maximum(moving.mass, least) / target.mass)
    shift = (moving.centroid - target.centroid) / longer_side_px
    scale = (target.spread[..., 0] + target.spread[..., 2]).clamp_min(1e-6)
    axes = (moving.spread - target.spread) / scale[..., None]
    parts = (SIZE_WEIGHT * size[..., None], SHIFT_WEIGHT * shift, AXES_WEIGHT * axes)
    return torch.cat(parts, dim=-1)


def linearize_each_moments(
    target: Moments, masks: Tensor, jacobian: Tensor, valid: Tensor
) -> QuadraticModel:
    """Return the Gauss-Newton model of half the squared residuals of each region, [...,R].

    Args:
        target: of the R regions.
        masks: [...,R,H,W] moving ones with jacobian [...,R,H,W,P].
        valid: [H,W] or [R,H,W], where pixels count.
    """
    longer = max(masks.shape[-2:])
    moving = moments(masks, valid, LEAST_MASS * target.mass)
    residual = moment_residuals(target, moving, longer).double()
    slopes = _slopes(target, moving, jacobian * valid.to(jacobian)[..., None], longer).double()
    return QuadraticModel(
        value=0.5 * residual.square().sum(dim=-1),
        gradient=(slopes * residual[..., None]).sum(dim=-2),
        normal_matrix=slopes.mT @ slopes,
    )


def _slopes(target: Moments, moving: Moments, jacobian: Tensor, longer_side_px: int) -> Tensor:
    """Return [...,R,6,P] derivatives of the residuals; jacobian [...,R,H,W,P] where valid."""
    x, y = _coordinates(jacobian[..., 0])
    columns = jacobian.flatten(-3, -2).mT  # [...,R,P,H*W]
    xs, ys = x.expand(len(y), -1).flatten(), y[:, None].expand(-1, len(x)).flatten()
    powers = torch.stack((torch.ones_like(xs), xs, ys, xs * xs, xs * ys, ys * ys), dim=-1)
    m, mx, my, mxx, mxy, myy = (columns @ powers).unbind(-1)  # each [...,R,P]
    least = LEAST_MASS * target.mass
    mass = torch.maximum(moving.mass, least)[..., None]
    seen = (moving.mass > least)[..., None]
    m = torch.where(seen, m, 0.0)  # below the least mass the divisor does not change
    (cx, cy), (xx, xy, yy) = moving.centroid.unbind(-1), moving.spread.unbind(-1)
    cx, cy, xx, xy, yy = (part[..., None] for part in (cx, cy, xx, xy, yy))
    dx, dy = (mx - cx * m) / mass, (my - cy * m) / mass
    dxx = (mxx - (xx + cx * cx) * m) / mass - 2 * cx * dx
    dxy = (mxy - (xy + cx * cy) * m) / mass - cx * dy - cy * dx
    dyy = (myy - (yy + cy * cy) * m) / mass - 2 * cy * dy
    scale = (target.spread[..., 0] + target.spread[..., 2]).clamp_min(1e-6)[..., None]
    rows = (
        SIZE_WEIGHT * 0.5 * m / mass,
        *(SHIFT_WEIGHT * part / longer_side_px for part in (dx, dy)),
        *(AXES_WEIGHT * part / scale for part in (dxx, dxy, dyy)),
    )
    return torch.stack(rows, dim=-2)


def _coordinates(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return columns [W] and rows [H] of masks [...,H,W], from the image's middle."""
    rows, columns = masks.shape[-2:]
    x = torch.arange(columns, dtype=masks.dtype, device=masks.device) - 0.5 * (columns - 1)
    y = torch.arange(rows, dtype=masks.dtype, device=masks.device) - 0.5 * (rows - 1)
    return x, y
