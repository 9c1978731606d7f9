"""Levenberg-Marquardt on a pose: Gauss-Newton steps, damped until they improve."""

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
    """Settings of one descent.

    Args:
        max_iterations: evaluations after the first.
        damping: first damping, as a share of each parameter's own curvature.  Each axis is damped
            by its own curvature, so a weakly seen axis (depth) still moves.
        max_rotation_rad, max_shift_mm, max_depth_mm: longest step of each kind; longer steps are
            shortened as a whole.
        tolerance: stop when a step promises less than this share of the loss, and moves less than
            ``still`` of the longest steps.
    """

    max_iterations: int = 25
    damping: float = 1e-2
    max_rotation_rad: float = 0.12
    max_shift_mm: float = 25.0
    max_depth_mm: float = 60.0
    tolerance: float = 1e-4
    still: float = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Descent:
    """Where a solver ended: the best pose seen, never a worse one than the start.

    Args:
        camera_from_ct: [4,4] float64.
        linearization: of the loss there.
        start_value: loss at the start.
        iterations: steps tried; ``evaluations`` of the loss, the first included.
        status: ``converged``, ``stalled`` (no step improves), ``limit`` (iterations used up) or
            ``undefined`` (the loss is not finite at the start).
    """

    camera_from_ct: Tensor
    linearization: Linearization
    start_value: float
    iterations: int
    evaluations: int
    status: str

    @property
    def value(self) -> float:
        """The loss at the answer."""
        return float(self.linearization.value)


def minimise(
    linearize: Linearize, move: Move, start: Tensor, config: LevenbergMarquardtConfig
) -> Descent:
    """Minimise a loss over poses.

    Args:
        linearize: pose -> loss with gradient and normal matrix in the six pose parameters there.
        move: (pose, [6] step) -> pose.
        start: the first pose.
        config: see :class:`LevenbergMarquardtConfig`.
    """
    pose, here = start, linearize(start)
    start_value = float(here.value)
    if not here.is_finite():
        return Descent(camera_from_ct=start, linearization=here, start_value=start_value,
                       iterations=0, evaluations=1, status="undefined")  # fmt: skip
    longest = _longest_step(config, pose)
    damping, status, iteration = config.damping, "limit", 0
    for iteration in range(1, config.max_iterations + 1):  # noqa: B007
        step = _damped_step(here, damping, longest)
        promised = -float(here.gradient @ step + 0.5 * step @ here.normal_matrix @ step)
        if _is_negligible(step, promised, here, longest, config):
            status = "converged"
            break
        candidate = move(pose, step)
        there = linearize(candidate)
        gained = float(here.value - there.value)
        if there.is_finite() and gained > 0:
            good = gained > 0.25 * promised
            damping = max(damping * (0.2 if good else 1.0), 1e-6)
            pose, here = candidate, there
        elif damping > 1e3:
            status = "stalled"
            break
        else:
            damping *= 6.0
    return Descent(camera_from_ct=pose, linearization=here, start_value=start_value,
                   iterations=iteration, evaluations=iteration + 1, status=status)  # fmt: skip


def _longest_step(config: LevenbergMarquardtConfig, like: Tensor) -> Tensor:
    turn, shift = config.max_rotation_rad, config.max_shift_mm
    return like.new_tensor([turn, turn, turn, shift, shift, config.max_depth_mm])


def _damped_step(here: Linearization, damping: float, longest: Tensor) -> Tensor:
    curvature = here.normal_matrix.diagonal()
    # An axis that nothing sees gets the curvature of a loss of 1 over its longest step.
    floor = 1e-6 * (curvature * longest.square()).max().clamp_min(1e-30) / longest.square()
    damped = here.normal_matrix + torch.diag(damping * curvature + floor)
    step = -torch.linalg.solve(damped, here.gradient)
    excess = (step.abs() / longest).max()
    return step / excess if bool(excess > 1) else step


def _is_negligible(
    step: Tensor,
    promised: float,
    here: Linearization,
    longest: Tensor,
    config: LevenbergMarquardtConfig,
) -> bool:
    small_gain = promised <= config.tolerance * float(here.value)
    return small_gain and bool((step.abs() / longest).max() <= config.still)
