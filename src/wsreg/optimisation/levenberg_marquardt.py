"""Levenberg-Marquardt: Gauss-Newton steps, damped until they improve, many states at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.optimisation.observed import Observe, Observed
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.optimisation.small_matrices import solve_small

Linearize = Callable[[Tensor], QuadraticModel]
Move = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class LevenbergMarquardtConfig:
    """Settings of a descent.

    Args:
        max_iterations: steps tried at most.
        damping: first damping, as a fraction of each parameter's own curvature: a parameter that
            is weakly seen (depth) is damped by its own small curvature, and still moves.
        tolerance: a descent has converged when its next step promises less than this fraction of
            the loss, and either moves no parameter by more than ``step_tolerance`` of its longest
            step, or its last step promised as little and did not improve: what is left then is the
            loss's own roughness.
        step_tolerance: see ``tolerance``.
    """

    max_iterations: int = 25
    damping: float = 1e-2
    tolerance: float = 1e-4
    step_tolerance: float = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Descents:
    """Where descents ended: each at the best state that it saw, so never worse than its start.

    Args:
        states: [B,...], as the starts.
        model: of the loss there, a batch of B.
        iterations: steps tried, all descents together.
        evaluations: of the loss at one state, the first ones included.
        converged: [B] bool.
    """

    states: Tensor
    model: QuadraticModel
    iterations: int
    evaluations: int
    converged: Tensor

    @property
    def values(self) -> Tensor:
        """Return [B] losses at the answers, infinite where the loss is not defined."""
        return self.model.value.nan_to_num(nan=float("inf"))


NEGLIGIBLE = 1e-9
"""A gain this small is none, also where the loss itself is zero: losses are of the order of 1, and
those of float32 images are rounded more coarsely."""

GROW, SHRINK, SMALLEST, LARGEST = 6.0, 0.2, 1e-6, 1e3
"""Damping grows after a step that does not improve and shrinks after one that does as promised."""


def minimise(
    linearize: Linearize,
    move: Move,
    starts: Tensor,
    longest_step: Tensor,
    config: LevenbergMarquardtConfig,
    looseness: Tensor | None = None,
    observe: Observe | None = None,
) -> Descents:
    """Minimise a loss from every start; a step that does not improve is never taken.

    Args:
        linearize: states [B,...] -> quadratic model of the loss at each, in P parameters.
        move: (states [B,...], steps [B,P]) -> states.
        starts: [B,...] float64.
        longest_step: [P] longest step of each parameter, which is also its scale; a longer step is
            shortened as a whole.
        config: see :class:`LevenbergMarquardtConfig`.
        looseness: [P] how many times ``step_tolerance`` each parameter may still move when a
            descent has converged; 1 by default.
        observe: called with where the descents stand, at first and after each step.
    """
    states, here = starts.clone(), linearize(starts)
    longest = longest_step.to(here.gradient)
    active = here.is_finite()
    converged, refused = torch.zeros_like(active), torch.zeros_like(active)
    damping = torch.full_like(here.value, config.damping)
    evaluations = len(starts)
    _tell(observe, states, here, converged, active, damping)
    for _ in range(config.max_iterations):
        steps, promised = _damped_steps(here, damping, longest, active)
        moved = steps.abs() / (longest if looseness is None else longest * looseness)
        small = promised <= config.tolerance * here.value + NEGLIGIBLE
        done = small & (refused | (moved.amax(dim=-1) <= config.step_tolerance))
        converged = converged | (active & done)
        active = active & ~done & (damping <= LARGEST)
        if not bool(active.any()):
            break
        chosen = active.nonzero()[:, 0]
        candidates = states.index_copy(0, chosen, move(states[chosen], steps[chosen]))
        there = here.with_entries(chosen, linearize(candidates[chosen]))
        gained = here.value - there.value
        better = active & there.is_finite() & (gained > 0)
        refused = small & ~better
        states = torch.where(better.reshape(-1, *[1] * (states.ndim - 1)), candidates, states)
        here = there.where(better, here)
        evaluations += len(chosen)
        _tell(observe, states, here, active, better, damping)
        damping = _next_damping(damping, better & (gained > 0.25 * promised), active & ~better)
    return Descents(
        states=states,
        model=here,
        iterations=evaluations - len(starts),
        evaluations=evaluations,
        converged=converged,
    )


def _next_damping(damping: Tensor, good: Tensor, worse: Tensor) -> Tensor:
    shrunk = torch.where(good, (damping * SHRINK).clamp_min(SMALLEST), damping)
    return torch.where(worse, damping * GROW, shrunk)


def _tell(
    observe: Observe | None,
    states: Tensor,
    here: QuadraticModel,
    tried: Tensor,
    accepted: Tensor,
    damping: Tensor,
) -> None:
    if observe is not None:
        observe(
            Observed(
                states=states, values=here.value, tried=tried, accepted=accepted, damping=damping
            )
        )


def _damped_steps(
    here: QuadraticModel, damping: Tensor, longest: Tensor, active: Tensor
) -> tuple[Tensor, Tensor]:
    """Return steps [B,P], none longer than ``longest``, and what they promise to gain [B]."""
    curvature = here.normal_matrix.diagonal(dim1=-2, dim2=-1)
    # A parameter that nothing sees still gets a little curvature, so that it stays where it is.
    most = (curvature * longest.square()).amax(dim=-1, keepdim=True).clamp_min(1e-30)
    extra = damping[:, None] * curvature + 1e-6 * most / longest.square()
    damped = here.normal_matrix + torch.diag_embed(extra)
    identity = torch.eye(len(longest), dtype=damped.dtype, device=damped.device)
    damped = torch.where(active[:, None, None], damped, identity)
    gradient = torch.where(active[:, None], here.gradient, 0.0)
    steps = -solve_small(damped, gradient)
    excess = (steps.abs() / longest).amax(dim=-1, keepdim=True).clamp_min(1.0)
    steps = steps / excess
    curvature_along = torch.einsum("bi,bij,bj->b", steps, here.normal_matrix, steps)
    return steps, -((here.gradient * steps).sum(dim=-1) + 0.5 * curvature_along)
