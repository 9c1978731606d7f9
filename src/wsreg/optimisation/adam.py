"""The paper's solver: Adam on the parameters of a state (sections 2.2 and 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.optimisation.levenberg_marquardt import Move
from wsreg.optimisation.observed import Observe, Observed


@dataclass(frozen=True, kw_only=True)
class AdamConfig:
    """Settings of Adam's loop.

    Args:
        steps: how many.
        decay, decay_every: the rates fall by this factor every so many steps (DiffPose, which the
            paper builds on).
    """

    steps: int = 250
    decay: float = 0.9
    decay_every: int = 25

    def __post_init__(self) -> None:
        if self.steps < 0 or self.decay_every < 1:
            raise InputError(
                "steps must be at least 0 and decay_every at least 1, got "
                f"{self.steps} and {self.decay_every}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class AdamDescent:
    """The best state seen, its loss, and the loss at the start."""

    state: Tensor
    value: float
    start_value: float
    iterations: int


@torch.enable_grad()
def minimise_adam(
    loss: Callable[[Tensor], Tensor],
    move: Move,
    start: Tensor,
    rates: Tensor,
    config: AdamConfig,
    progress: Callable[[int, int], None] = lambda done, total: None,
    observe: Observe | None = None,
) -> AdamDescent:
    """Minimise a differentiable loss of a state over steps away from the start.

    The best iterate is kept, not the last one.

    Args:
        loss: state -> scalar, differentiable.
        move: (state, step [P]) -> state, differentiable to the step.
        start: the state to begin with.
        rates: [P] learning rate of each parameter.
        config: see :class:`AdamConfig`.
        progress: called with (steps done, steps in all).
        observe: called with each state, as a batch of one.
    """
    parameters = [start.new_zeros(()).requires_grad_() for _ in rates]
    optimiser = torch.optim.Adam(
        [{"params": [p], "lr": float(rate)} for p, rate in zip(parameters, rates, strict=True)]
    )
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, config.decay_every, config.decay)
    best, best_value, start_value = start, float("inf"), float("nan")
    for step in range(config.steps + 1):
        state = move(start, torch.stack(parameters))
        value = loss(state)
        now = float(value.detach())
        if step == 0:
            start_value = now
        better = now < best_value
        if better:
            best, best_value = state.detach(), now
        if observe is not None:
            observe(_one(state.detach(), now, tried=step > 0, accepted=better))
        if step == config.steps or not bool(torch.isfinite(value)):
            break
        optimiser.zero_grad()
        value.backward()
        if not all(p.grad is None or bool(torch.isfinite(p.grad)) for p in parameters):
            break  # an image without contrast has no direction to go
        optimiser.step()
        schedule.step()
        progress(step + 1, config.steps)
    return AdamDescent(state=best, value=best_value, start_value=start_value, iterations=step)


def _one(state: Tensor, value: float, *, tried: bool, accepted: bool) -> Observed:
    """Return a state as a batch of one."""
    return Observed(
        states=state[None],
        values=torch.tensor([value], dtype=torch.float64),
        tried=torch.tensor([tried]),
        accepted=torch.tensor([accepted]),
        damping=torch.tensor([float("nan")]),
    )
