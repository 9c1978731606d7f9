"""Soft Dice of regions of interest: how much the masks of an X-ray and of a rendering overlap.

Of a fixed mask m and a moving one p, probabilities under a mask of valid pixels, it is
2 <m,p> / (|m|^2 + |p|^2)  (Milletari et al., V-Net, 2016), which for hard masks is the usual Dice.
Written as a loss it is a sum of squares,  1 - Dice = |m - p|^2 / (|m|^2 + |p|^2),  so Gauss-Newton
applies as it is.

A region that is absent from the fixed mask drops out of the loss.  One that is there but not in the
rendering counts with Dice 0: were it to drop out too, moving bones out of sight would pay.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.optimisation.quadratic_model import QuadraticModel


def present(target: Tensor, mask: Tensor) -> Tensor:
    """Return [R] bool: which masks [R,H,W] reach a half where ``mask`` [H,W] or [R,H,W] is true."""
    return ((target >= 0.5) & mask.bool()).flatten(-2).any(dim=-1)


def soft_dice(target: Tensor, probabilities: Tensor, mask: Tensor) -> Tensor:
    """Return the Dice of each ROI; differentiable to the probabilities.

    Args:
        target: [R,H,W] fixed masks or probabilities.
        probabilities: [...,R,H,W] moving ones.
        mask: [H,W] or [R,H,W], where pixels count.

    Returns:
        [...,R] from 0 to 1; 1 for two empty masks, which agree.

    Raises:
        InputError: shapes that do not fit.
    """
    _check_shapes(target, probabilities, mask)
    weight = mask.to(probabilities)
    overlap = (weight * target * probabilities).sum(dim=(-2, -1))
    size = (weight * (target.square() + probabilities.square())).sum(dim=(-2, -1))
    return torch.where(size > 0, 2.0 * overlap / size.clamp_min(_tiny(size)), 1.0)


def linearize_each_dice(
    target: Tensor, probabilities: Tensor, jacobian: Tensor, mask: Tensor
) -> QuadraticModel:
    """Return a Gauss-Newton model of 1 - Dice of each ROI, a batch of [...,R].

    With d = m - p and n = |m|^2 + |p|^2 the residual is sqrt(2/n) d; its derivative has one part
    from p in d and one from p in n.

    Args:
        target, mask: as for :func:`soft_dice`.
        probabilities: [...,R,H,W] with jacobian [...,R,H,W,P].
    """
    _check_shapes(target, probabilities, mask)
    weight = mask.to(probabilities)
    columns = (jacobian.movedim(-1, -3) * weight[..., None, :, :]).flatten(-2)
    moving = (probabilities * weight).flatten(-2)
    apart = (target * weight).flatten(-2) - moving
    size = (2.0 * moving * (apart + moving) + apart.square()).sum(dim=-1)  # |m|^2 + |p|^2
    size = size.clamp_min(_tiny(size))
    value = apart.square().sum(dim=-1) / size
    by_apart, by_moving = (columns @ torch.stack((apart, moving), dim=-1)).unbind(-1)
    n, loss = size[..., None, None], value[..., None, None]
    across = by_apart[..., :, None] * by_moving[..., None, :] / n
    along = by_moving[..., :, None] * by_moving[..., None, :] * loss / n
    return QuadraticModel(
        value=value.double(),
        gradient=(-2.0 / size[..., None] * (by_apart + value[..., None] * by_moving)).double(),
        normal_matrix=(2.0 / n * (columns @ columns.mT + across + across.mT + along)).double(),
    )


def _check_shapes(target: Tensor, probabilities: Tensor, mask: Tensor) -> None:
    if target.ndim != 3 or probabilities.shape[-3:] != target.shape:
        raise InputError(
            "probabilities must be [...,R,H,W] with the target's R,H,W "
            f"{list(target.shape)}, got {list(probabilities.shape)}"
        )
    if mask.shape not in (target.shape, target.shape[1:]):
        raise InputError(
            f"mask must have the target's H,W {list(target.shape[1:])}, got {list(mask.shape)}"
        )


def _tiny(x: Tensor) -> float:
    return float(torch.finfo(x.dtype).tiny)
