"""Starts without learning: many poses around a view, ranked coarse, the best refined."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsreg.registration.config import PoseScale
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.starts.rois import brought_near
from wsreg.registration.states import HALF_TURN, spread_around, with_bodies


def search(problem: Problem, level: Level) -> Tensor:
    """Return the best of many states around the view, upright or upside down, best first.

    Where regions of interest are known they bring the states near.
    """
    config = problem.settings.search
    reach = PoseScale(
        rotation_rad=math.radians(config.rotation_deg),
        shift_mm=config.shift_mm,
        depth_mm=config.depth_mm,
    )
    pivot_mm, seed = problem.bodies[0].pivot_mm, problem.settings.seed
    start = with_bodies(problem.start, len(level.bodies))
    tried = spread_around(start, pivot_mm, reach.vector(1), config.poses, seed)
    if config.half_turned:
        tried = torch.cat((tried, HALF_TURN @ tried))
    best = ranked(level, tried)[: config.refined]
    nearest = brought_near(problem, level, best)
    return best if nearest is None else nearest


def ranked(level: Level, states: Tensor, batch: int = 64) -> Tensor:
    """Return states [B,K,4,4] from the lowest loss to the highest."""
    with torch.no_grad():
        losses = torch.cat([level.loss(some) for some in torch.split(states, batch)])
    losses = losses.double().nan_to_num(nan=float("inf"))
    return states[losses.argsort()]
