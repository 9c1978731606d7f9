"""A start from landmarks that a person has found in the X-ray, and probes beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.pnp import solve_pnp_around
from wsreg.geometry.rigid import inverse_rigid
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.starts.given import with_probes
from wsreg.registration.states import with_bodies

NEARLY_AS_GOOD = 4.0
"""Other poses of the landmarks are tried too if their cost is less than so many times the best."""
LEAST_COST = 1.0
"""Costs are compared no further than this: landmarks clicked within their deviation."""


def landmarks(problem: Problem, level: Level) -> Tensor:
    """Return the poses under which the landmarks are where they were clicked, with probes.

    Those beside the best pose are included, as for a pose that is given.

    Raises:
        InputError: the problem has no landmarks.
    """
    found, view = problem.landmarks, problem.views[0]
    if found is None:
        raise InputError("init must name the file of the landmarks, as landmarks:FILE, got none")
    first = view.camera_from_rig @ problem.start[0]
    solutions = solve_pnp_around(found.points_mm, found.pixels, view.camera, first)
    most = NEARLY_AS_GOOD * max(solutions[0].cost, LEAST_COST)
    poses = [solution.camera_from_ct for solution in solutions if solution.cost <= most]
    states = inverse_rigid(view.camera_from_rig) @ torch.stack(poses)[:, None]
    return torch.cat((with_probes(problem, with_bodies(states[0], len(level.bodies))), states[1:]))
