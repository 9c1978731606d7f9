"""Levenberg-Marquardt on poses: Gauss-Newton steps, damped until they improve, many at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.similarity.linearization import Linearization

Linearize = Callable[[Tensor], Linearization]
Move = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class LevenbergMarquardtConfig:
    """Settings of a descent.

    Args:
        max_iterations: steps tried at most.
        damping: first damping, as a share of each parameter's own curvature: a weakly seen axis
            (depth) is damped by its own small curvature, and still moves.
        max_rotation_rad, max_shift_mm, max_depth_mm: longest step of each kind; a longer step is
            shortened as a whole.
        tolerance: a descent has converged when its next step promises less than this share of
            the loss and moves no axis by more than ``still`` of its longest step.
    """

    max_iterations: int = 25
    damping: float = 1e-2
    max_rotation_rad: float = 0.12
    max_shift_mm: float = 25.0
    max_depth_mm: float = 60.0
    tolerance: float = 1e-4
    still: float = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Descents:
    """Where descents ended: each at the best pose it saw, so never worse than its start.

    Args:
        camera_from_ct: [B,4,4] float64.
        linearization: of the loss there, a batch of B.
        iterations: steps tried, all descents together.
        evaluations: of the loss at one pose, the first ones included.
        converged: [B] bool.
    """

    camera_from_ct: Tensor
    linearization: Linearization
    iterations: int
    evaluations: int
    converged: Tensor

    @property
    def values(self) -> Tensor:
        """[B] losses at the answers, infinite where the loss is not defined."""
        return self.linearization.value.nan_to_num(nan=float("inf"))


NEGLIGIBLE = 1e-12
"""A gain this small is none, also where the loss itself is zero."""

GROW, SHRINK, SMALLEST, LARGEST = 6.0, 0.2, 1e-6, 1e3
"""Damping grows after a step that does not improve and shrinks after one that does as promised."""


def minimise(
    linearize: Linearize, move: Move, starts: Tensor, config: LevenbergMarquardtConfig
) -> Descents:
    """Minimise a loss from every start; a step that does not improve is never taken.

    Args:
        linearize: poses [B,4,4] -> loss with gradient and normal matrix at each.
        move: (poses [B,4,4], steps [B,6]) -> poses.
        starts: [B,4,4] float64.
        config: see :class:`LevenbergMarquardtConfig`.
    """
    poses, here = starts.clone(), linearize(starts)
    active = here.is_finite()
    converged = torch.zeros_like(active)
    damping = torch.full_like(here.value, config.damping)
    longest = _longest_step(config).to(starts)
    iterations, evaluations = 0, len(starts)
    for _ in range(config.max_iterations):
        steps, promised = _damped_steps(here, damping, longest, active)
        relative = (steps.abs() / longest).amax(dim=-1)
        small = promised <= config.tolerance * here.value + NEGLIGIBLE
        done = small & (relative <= config.still)
        converged = converged | (active & done)
        active = active & ~done & (damping <= LARGEST)
        if not bool(active.any()):
            break
        chosen = active.nonzero()[:, 0]
        candidates = poses.clone()
        candidates[chosen] = move(poses[chosen], steps[chosen])
        there = _scattered(linearize(candidates[chosen]), chosen, here)
        gained = here.value - there.value
        better = active & there.is_finite() & (gained > 0)
        good = better & (gained > 0.25 * promised)
        damping = torch.where(good, (damping * SHRINK).clamp_min(SMALLEST), damping)
        damping = torch.where(active & ~better, damping * GROW, damping)
        poses = torch.where(better[:, None, None], candidates, poses)
        here = there.where(better, here)
        iterations += len(chosen)
        evaluations += len(chosen)
    return Descents(
        camera_from_ct=poses,
        linearization=here,
        iterations=iterations,
        evaluations=evaluations,
        converged=converged,
    )


def _longest_step(config: LevenbergMarquardtConfig) -> Tensor:
    turn, shift = config.max_rotation_rad, config.max_shift_mm
    return torch.tensor([turn, turn, turn, shift, shift, config.max_depth_mm])


def _damped_steps(
    here: Linearization, damping: Tensor, longest: Tensor, active: Tensor
) -> tuple[Tensor, Tensor]:
    """Steps [B,6], none longer than ``longest``, and what they promise to gain [B]."""
    curvature = here.normal_matrix.diagonal(dim1=-2, dim2=-1)
    # An axis that nothing sees still gets a little curvature, so that it stays where it is.
    most = (curvature * longest.square()).amax(dim=-1, keepdim=True).clamp_min(1e-30)
    extra = damping[:, None] * curvature + 1e-6 * most / longest.square()
    damped = here.normal_matrix + torch.diag_embed(extra)
    identity = torch.eye(6, dtype=damped.dtype, device=damped.device)
    damped = torch.where(active[:, None, None], damped, identity)
    gradient = torch.where(active[:, None], here.gradient, 0.0)
    steps = -torch.linalg.solve(damped, gradient)
    excess = (steps.abs() / longest).amax(dim=-1, keepdim=True).clamp_min(1.0)
    steps = steps / excess
    bend = torch.einsum("bi,bij,bj->b", steps, here.normal_matrix, steps)
    return steps, -((here.gradient * steps).sum(dim=-1) + 0.5 * bend)


def _scattered(some: Linearization, chosen: Tensor, whole: Linearization) -> Linearization:
    """A batch like ``whole`` with the entries ``chosen`` [N] taken from ``some``."""
    return Linearization(
        value=whole.value.index_copy(0, chosen, some.value),
        gradient=whole.gradient.index_copy(0, chosen, some.gradient),
        normal_matrix=whole.normal_matrix.index_copy(0, chosen, some.normal_matrix),
    )
