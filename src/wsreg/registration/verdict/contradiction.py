"""Whether several X-rays are of one pose: what each would rather have, if it were alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from wsreg.geometry.rigid import transform_points
from wsreg.optimisation.levenberg_marquardt import LevenbergMarquardtConfig, minimise
from wsreg.registration.level import Level
from wsreg.registration.states import with_bodies
from wsreg.registration.views import LevelView

DESCENT = LevenbergMarquardtConfig(max_iterations=10, tolerance=1e-3)


def alone(level: Level, number: int) -> Level:
    """Return a level with one of its views."""
    return dataclasses.replace(level, views=(level.views[number],))


def moves_alone_mm(
    levels: Sequence[Level], state: Tensor, longest_step: Tensor, points_mm: Tensor
) -> list[float]:
    """Return how far each view alone would move the first body across its own image.

    Where X-rays are of one pose, and the rig is right, that is what noise and scatter do to a view.

    Args:
        levels: with several views, coarse to fine; the last two are descended on.
        state: [K,4,4] the answer of all views.
        longest_step: [6] of the descent, for each body.
        points_mm: [N,3] of the first body (CT, LPS mm).

    Returns:
        The mean distance of the points, mm at the body, for each view; NaN where one is not in
        front of the source.
    """
    moves = []
    for number, view in enumerate(levels[-1].views):
        there = state.detach()[None]
        for level in levels[-2:]:
            one = alone(level, number)
            longest = longest_step.repeat(len(level.bodies))
            there = with_bodies(there, len(level.bodies))
            there = minimise(one.linearize, one.move, there, longest, DESCENT).states
        moves.append(_across_mm(view, state[0], there[0, 0], points_mm))
    return moves


def _across_mm(view: LevelView, a: Tensor, b: Tensor, points_mm: Tensor) -> float:
    """Return the mean distance across a view's image of points [N,3] under two poses, at the body."""
    in_camera = [transform_points(view.camera_from_rig @ pose, points_mm) for pose in (a, b)]
    rays = [points[:, :2] / points[:, 2:] for points in in_camera]
    depth = in_camera[0][:, 2]
    if not bool((depth > 0).all() and (in_camera[1][:, 2] > 0).all()):
        return float("nan")
    return float((torch.linalg.norm(rays[1] - rays[0], dim=1) * depth).mean())
