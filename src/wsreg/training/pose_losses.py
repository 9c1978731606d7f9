"""How wrong a pose is, in four ways that have a gradient (paper, section 2.3).

All take the poses that are estimated and those that are true, [B,4,4], or the images of both, and
return [B].
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from wsreg.geometry.rigid import inverse_rigid, log_se3, log_so3, rigid, transform_points
from wsreg.networks.pose_encoder import LOG_VARIANCE_RANGE
from wsreg.similarity.soft_dice import present, soft_dice

NCC_FLOOR = 1e-4
"""Of a window's variance, as a fraction of the image's: windows without texture tell nothing."""


def double_geodesic_mm(
    estimated: Tensor, true: Tensor, pivot_mm: Tensor, source_to_detector_mm: float
) -> Tensor:
    """Return sqrt((f/2 angle)^2 + shift^2): the rotation between two poses, and the pivot's way.

    An angle is as long as its arc half way to the detector (f/2 mm for each rad), as DiffPose has
    it.  It has a derivative wherever it is not 0, at half turns too; at 0 the derivative is 0.

    Args:
        estimated, true: [B,4,4] ``camera_from_ct``.
        pivot_mm: [3], or [B,3] one for each, centre of rotation (CT, LPS mm).
        source_to_detector_mm: f.
    """
    turn, shift = _between(estimated, true, pivot_mm)
    arc = 0.5 * source_to_detector_mm * log_so3(turn)
    return _length(torch.cat((arc, shift), dim=-1))


def se3_geodesic_mm(
    estimated: Tensor, true: Tensor, pivot_mm: Tensor, source_to_detector_mm: float
) -> Tensor:
    """Return the length of the twist that takes one pose to the other, about the pivot.

    Rotation counts f/2 mm for each rad.  Arguments as for :func:`double_geodesic_mm`, of which it
    differs only where the rotation is large: the twist's way is not straight.
    """
    turn, shift = _between(estimated, true, pivot_mm)
    twist = log_se3(rigid(turn, shift))
    return _length(torch.cat((0.5 * source_to_detector_mm * twist[..., :3], twist[..., 3:]), -1))


def multiscale_ncc(fixed: Tensor, moving: Tensor, window_px: int) -> Tensor:
    """Return the mean of global NCC and of NCC in sliding windows of images [B,H,W], each pair.

    Windows are compared as :mod:`wsreg.similarity.window_ncc` does, all with the same weight.
    """
    whole = (fixed.shape[-2], fixed.shape[-1])
    windows = (window_px, window_px)
    stride = max(1, window_px // 3)
    return 0.5 * (_ncc(fixed, moving, whole, 1, 0.0) + _ncc(fixed, moving, windows, stride))


def roi_dice(fixed: Tensor, moving: Tensor) -> Tensor:
    """Return the mean soft Dice of masks [B,R,H,W] over the regions that ``fixed`` shows.

    It is 1 where it shows none.
    """
    everywhere = torch.ones_like(fixed[0, 0], dtype=torch.bool)
    shown = present(fixed.flatten(0, 1), everywhere).view(fixed.shape[:2]).to(moving)
    dice = soft_dice(fixed.flatten(0, 1), moving.flatten(0, 1), everywhere).view(fixed.shape[:2])
    lacking = ((1.0 - dice) * shown).sum(dim=1) / shown.sum(dim=1).clamp(min=1.0)
    return 1.0 - lacking


def negative_log_likelihood(errors: Tensor, log_variance: Tensor) -> Tensor:
    """Return the mean over six of 0.5 (e^2/var + log var), for errors and log variances [B,6].

    It is least where the variance is the mean square of the errors.
    """
    log_variance = log_variance.clamp(*LOG_VARIANCE_RANGE)
    return 0.5 * (errors.square() * torch.exp(-log_variance) + log_variance).mean(dim=-1)


def _between(estimated: Tensor, true: Tensor, pivot_mm: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rotation [B,3,3] from the true pose to the other, and the pivot's way [B,3]."""
    motion = estimated @ inverse_rigid(true)
    ways = [
        transform_points(pose, pivot_mm.to(pose)[..., None, :])[..., 0, :]
        for pose in (estimated, true)
    ]
    return motion[..., :3, :3], ways[0] - ways[1]


def _length(vector: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vector, dim=-1)
    return length


def _ncc(
    fixed: Tensor, moving: Tensor, size: tuple[int, int], stride: int, floor: float = NCC_FLOOR
) -> Tensor:
    """Return [B] the mean NCC of all windows of a size."""
    a, b = (image - image.mean(dim=(-2, -1), keepdim=True) for image in (fixed, moving))
    stack = torch.stack((a, b, a * b, a * a, b * b), dim=1)
    mean_a, mean_b, ab, aa, bb = avg_pool2d(stack, size, stride).unbind(dim=1)
    spread_a, spread_b = (
        image.square().mean(dim=(-2, -1), keepdim=True).clamp_min(1e-12) for image in (a, b)
    )
    least = max(floor, 1e-6)
    covariance = ab - mean_a * mean_b + least * (spread_a * spread_b).sqrt()
    variance_a = (aa - mean_a.square()).clamp_min(0.0) + least * spread_a
    variance_b = (bb - mean_b.square()).clamp_min(0.0) + least * spread_b
    return (covariance / (variance_a * variance_b).sqrt()).mean(dim=(-2, -1))
