"""Whether several X-rays are of one pose: what each would rather have, if it were alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.geometry.rigid import transform_points
from wsreg.optimisation.levenberg_marquardt import LevenbergMarquardtConfig, minimise
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration.level import Level
from wsreg.registration.states import with_bodies
from wsreg.registration.ties import PIXELS_PER_RESIDUAL
from wsreg.registration.verdict.deviation import covariance
from wsreg.registration.views import LevelView

DESCENT = LevenbergMarquardtConfig(max_iterations=10, tolerance=1e-3)


@dataclass(frozen=True, kw_only=True)
class MoveAlone:
    """How far a view, if it were alone, would move the first body across its own image.

    Args:
        distance_mm: mean over points of the body, mm at the body; NaN where one of them is not in
            front of the source.
        deviation_mm: standard deviation of what the view alone knows across its image.
    """

    distance_mm: float
    deviation_mm: float

    def beyond_noise_mm(self) -> float:
        """Return what two standard deviations leave of the distance."""
        return self.distance_mm - 2.0 * self.deviation_mm


def alone(level: Level, number: int) -> Level:
    """Return a level with one of its views, whose pixels alone the ties are weighed against."""
    view, ties = level.views[number], level.ties
    if ties is not None:
        ties = dataclasses.replace(ties, residuals=float(view.mask.sum()) / PIXELS_PER_RESIDUAL)
    return dataclasses.replace(level, views=(view,), ties=ties)


def moves_alone(
    levels: Sequence[Level], state: Tensor, longest_step: Tensor, points_mm: Tensor
) -> list[MoveAlone]:
    """Return how far each view alone would move the first body across its own image.

    Where X-rays are of one pose, and the rig is right, that is what noise and scatter do to a view.

    Args:
        levels: with several views, coarse to fine; the last two are descended on.
        state: [K,4,4] the answer of all views.
        longest_step: [6] of the descent, for each body.
        points_mm: [N,3] of the first body (CT, LPS mm).
    """
    moves = []
    for number, view in enumerate(levels[-1].views):
        there = state.detach()[None]
        for level in levels[-2:]:
            one = alone(level, number)
            longest = longest_step.repeat(len(level.bodies))
            there = with_bodies(there, len(level.bodies))
            found = minimise(one.linearize, one.move, there, longest, DESCENT)
            there = found.states
        moves.append(
            MoveAlone(
                distance_mm=_across_mm(view, state[0], there[0, 0], points_mm),
                deviation_mm=_deviation_across_mm(view, found.model[0]),
            )
        )
    return moves


def _deviation_across_mm(view: LevelView, model: QuadraticModel) -> float:
    """Return the larger standard deviation of the first body's pivot across a view's image."""
    of_shift = covariance(model, float(view.mask.sum()))[3:6, 3:6]
    turn = view.camera_from_rig[:3, :3]
    return float((turn @ of_shift @ turn.T).diagonal()[:2].max().clamp_min(0.0).sqrt())


def _across_mm(view: LevelView, a: Tensor, b: Tensor, points_mm: Tensor) -> float:
    """Return how far points [N,3] move across a view's image between two poses, mm at the body."""
    in_camera = [transform_points(view.camera_from_rig @ pose, points_mm) for pose in (a, b)]
    rays = [points[:, :2] / points[:, 2:] for points in in_camera]
    depth = in_camera[0][:, 2]
    if not bool((depth > 0).all() and (in_camera[1][:, 2] > 0).all()):
        return float("nan")
    return float((torch.linalg.norm(rays[1] - rays[0], dim=1) * depth).mean())
