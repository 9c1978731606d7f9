"""A start that is given, by a pose or by the C-arm's angles, and probes beside it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsreg.registration.config import PoseScale
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.starts.rois import brought_near
from wsreg.registration.states import HALF_TURN, spread_around, with_bodies

PROBE_REACH = PoseScale(rotation_rad=math.radians(6.0), shift_mm=15.0, depth_mm=40.0)
"""Half range of the probes."""


def given(problem: Problem, level: Level) -> Tensor:
    """Return the start and probes beside it: do they all end in one place?

    Known regions of interest also bring them near; the start itself stays among them, lest bad
    masks lead away from a good one.
    """
    start = with_bodies(problem.start, len(level.bodies))
    probes = with_probes(problem, start)
    nearest = brought_near(problem, level, probes)
    if nearest is None:
        return probes
    beside = with_probes(problem, nearest[0])
    if problem.recorder is not None:
        problem.recorder.spread(nearest[0], beside)
    return torch.cat((start[None], beside))


def by_angles(problem: Problem, level: Level) -> Tensor:
    """Return the view of the C-arm's angles with probes beside it, and the same upside down."""
    states = given(problem, level)
    return torch.cat((states, HALF_TURN @ states[:1]))


def with_probes(problem: Problem, state: Tensor) -> Tensor:
    """Return [1+probes,K,4,4]: a state, and some beside it."""
    settings = problem.settings
    return spread_around(
        state, problem.bodies[0].pivot_mm, PROBE_REACH.vector(1), settings.probes + 1, settings.seed
    )
