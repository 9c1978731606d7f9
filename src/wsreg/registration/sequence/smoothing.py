"""Poses of a sequence smoothed over time: a step of its own, beside what was found, never instead.

The mean of poses is that of the group of rigid motions: the pose from which the others are reached
by motions (twists) that add up to nothing.  It depends on no frame of reference and no centre of
rotation (X. Pennec, V. Arsigny, "Exponential barycenters of the canonical Cartan connection and
invariant means on Lie groups", Matrix Information Geometry, 2013).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.rigid import exp_se3, inverse_rigid, log_se3

REACH = 3.0
"""Frames farther away than so many standard deviations do not count."""
ROUNDS = 5
"""Each brings the mean as near again as poses are to each other: twists of 0.1 end at 1e-10."""


def smoothed_poses(poses: Sequence[Tensor | None], deviation_frames: float) -> list[Tensor | None]:
    """Return each pose [4,4] as the mean of those around it, weighed by a Gaussian.

    Frames without a pose take no part and get none.

    Args:
        poses: of one body, in the order of the frames.
        deviation_frames: standard deviation of the Gaussian, in frames.

    Raises:
        InputError: it is not positive.
    """
    if not 0.0 < deviation_frames < math.inf:
        raise InputError(f"deviation_frames must be positive, got {deviation_frames}")
    numbers = [number for number, pose in enumerate(poses) if pose is not None]
    if not numbers:
        return list(poses)
    known = torch.stack([pose for pose in poses if pose is not None])
    frames = torch.tensor(numbers, dtype=torch.float64)
    smooth: list[Tensor | None] = [None] * len(poses)
    for index, number in enumerate(numbers):
        apart = (frames - number) / deviation_frames
        weights = torch.where(apart.abs() <= REACH, torch.exp(-0.5 * apart.square()), 0.0)
        near = weights > 0
        smooth[number] = mean_pose(known[near], weights[near], known[index])
    return smooth


def mean_pose(poses: Tensor, weights: Tensor, start: Tensor) -> Tensor:
    """Return [4,4] the mean of poses [N,4,4] with weights [N], from a start [4,4] among them."""
    mean, shares = start, weights / weights.sum()
    for _ in range(ROUNDS):
        mean = mean @ exp_se3(shares @ log_se3(inverse_rigid(mean) @ poses))
    return mean
