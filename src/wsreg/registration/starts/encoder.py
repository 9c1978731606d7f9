"""A start from a trained encoder: the pose that it finds, and as many beside it as it is unsure."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.rigid import inverse_rigid
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.starts.pose_estimator import LOST, PoseEstimate
from wsreg.registration.starts.search import ranked, search
from wsreg.registration.states import moved_together, with_bodies

FEWEST, MOST = 4, 64
"""Poses tried around an estimate that is sure, and around one that tells nothing."""
LESS_SURE = 1.5
"""The other half turn is tried too unless it is so many times less sure."""
REFINED_FRACTION = 1 / 16
"""Of what is tried, how much is refined; at least ``FEWEST_REFINED``."""
FEWEST_REFINED = 1


def encoder(problem: Problem, level: Level) -> Tensor:
    """Return the best of the states around the poses that the problem's encoder finds, best first.

    Each X-ray is read upright and upside down.  Where the encoder says that it knows nothing, the
    best of a search are among the states.

    Raises:
        InputError: the problem has no encoder.
    """
    estimator, view = problem.encoder, problem.views[0]
    if estimator is None:
        raise InputError("init must name the encoder's folder, as encoder:DIR, it names none")
    estimates = estimator.estimates(view.usable, view.camera)
    surest = min(estimates, key=lambda one: one.unsure)
    likely = [one for one in estimates if one.unsure <= LESS_SURE * surest.unsure]
    tried = torch.cat([_around(problem, level, estimate) for estimate in likely])
    best = ranked(level, tried)[: max(FEWEST_REFINED, round(len(tried) * REFINED_FRACTION))]
    if surest.lost:
        return ranked(level, torch.cat((best, search(problem, level))))
    return best


def _around(problem: Problem, level: Level, estimate: PoseEstimate) -> Tensor:
    """Return [N,K,4,4] states: the estimated one, and normally distributed ones about it."""
    assert problem.encoder is not None
    pose = inverse_rigid(problem.views[0].camera_from_rig) @ estimate.camera_from_ct
    state = with_bodies(pose[None], len(level.bodies))
    count = round(FEWEST + (MOST - FEWEST) * min(1.0, estimate.unsure / LOST))
    engine = torch.quasirandom.SobolEngine(6, scramble=True, seed=problem.settings.seed)
    unit = engine.draw(count, dtype=torch.float64).clamp(1e-6, 1.0 - 1e-6)
    steps = 2.0**0.5 * torch.erfinv(2.0 * unit - 1.0) * estimate.deviations
    steps[0] = 0.0
    return moved_together(state, steps, problem.encoder.frame.pivot)
