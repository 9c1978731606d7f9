"""How far the regions of interest of a rendering lie from those of an X-ray.

Dice has no gradient where two masks do not overlap; a distance does.  The distance of a region is
the mean over its projected mass p of the distance to the fixed mask, as a fraction of the image's
longer side (a forward Chamfer distance).  It is zero for all mass inside the mask, however small,
so it leads towards overlap and leaves the rest to Dice.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel

FARTHEST = 0.5
"""Distances are capped here, as a fraction of the image's longer side: what is farther is lost."""

LEAST_MASS = 0.02
"""As a fraction of the fixed mask: with less mass than this in view a region counts as lost."""


def distance_maps(target: Tensor) -> Tensor:
    """Return [R,H,W] distance of every pixel from each fixed mask [R,H,W], at most ``FARTHEST``.

    Distances are fractions of the longer side.  A mask is where its probability is at least one
    half; from an empty mask everything is equally far.
    """
    from scipy.ndimage import distance_transform_edt

    longer = max(target.shape[-2:])
    maps = torch.full_like(target, FARTHEST)
    for mask, distances in zip(target >= 0.5, maps, strict=True):
        if bool(mask.any()):
            outside = torch.from_numpy(distance_transform_edt(~mask.cpu().numpy())) / longer
            distances.copy_(outside.clamp_max(FARTHEST))
    return maps


def _masses(target: Tensor, probabilities: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return (weights [R,H,W] of a unit of mass, mass [...,R] in view with the least of it)."""
    weight = mask.to(probabilities).expand_as(target)
    least = LEAST_MASS * (weight * target).sum(dim=(-2, -1)) + torch.finfo(target.dtype).eps
    return weight, (weight * probabilities).sum(dim=(-2, -1)) + least


def mean_distances(
    target: Tensor, distances: Tensor, probabilities: Tensor, mask: Tensor
) -> Tensor:
    """Return [...,R] mean distance of each ROI's mass; differentiable to the probabilities.

    Args:
        target: [R,H,W] fixed masks, and ``distances`` from :func:`distance_maps` of it.
        probabilities: [...,R,H,W] moving masks.
        mask: [H,W] or [R,H,W], where pixels count.
    """
    weight, mass = _masses(target, probabilities, mask)
    nearer = (weight * (distances - FARTHEST) * probabilities).sum(dim=(-2, -1))
    return FARTHEST + nearer / mass


def linearize_each_distance(
    target: Tensor, distances: Tensor, probabilities: Tensor, jacobian: Tensor, mask: Tensor
) -> QuadraticModel:
    """Return a Gauss-Newton model of half the squared mean distance of each ROI, a batch [...,R].

    Arguments as for :func:`mean_distances`, with the probabilities' jacobian [...,R,H,W,P].
    """
    weight, mass = _masses(target, probabilities, mask)
    nearer = weight * (distances - FARTHEST)
    mean = FARTHEST + (nearer * probabilities).sum(dim=(-2, -1)) / mass
    columns = jacobian.movedim(-1, -3).flatten(-2)
    sums = columns @ torch.stack((nearer, weight), dim=-1).flatten(-3, -2)
    change = (sums[..., 0] - (mean - FARTHEST)[..., None] * sums[..., 1]) / mass[..., None]
    mean, change = mean.double(), change.double()
    return QuadraticModel(
        value=0.5 * mean.square(),
        gradient=mean[..., None] * change,
        normal_matrix=change[..., :, None] * change[..., None, :],
    )
