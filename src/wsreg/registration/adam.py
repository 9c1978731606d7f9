"""The paper's solver: Adam on the six pose parameters (sections 2.2 and 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.registration.levenberg_marquardt import Move


@dataclass(frozen=True, kw_only=True)
class AdamConfig:
    """The paper's settings: 250 steps at 7.5e-3 rad and 7.5 mm.

    The rates fall by ``decay`` every ``decay_every`` steps (DiffPose, which the paper builds on).
    """

    steps: int = 250
    rotation_rate_rad: float = 7.5e-3
    translation_rate_mm: float = 7.5
    decay: float = 0.9
    decay_every: int = 25


@dataclass(frozen=True, kw_only=True, eq=False)
class AdamDescent:
    """The best pose seen, its loss, and the loss at the start."""

    camera_from_ct: Tensor
    value: float
    start_value: float
    iterations: int


def minimise_adam(
    loss: Callable[[Tensor], Tensor],
    move: Move,
    start: Tensor,
    config: AdamConfig,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AdamDescent:
    """Minimise a differentiable loss of a pose [4,4] over rotation and translation at the start.

    The best iterate is kept, not the last one.
    """
    rotation = torch.zeros(3, dtype=start.dtype, device=start.device, requires_grad=True)
    translation = torch.zeros_like(rotation, requires_grad=True)
    groups = [
        {"params": [rotation], "lr": config.rotation_rate_rad},
        {"params": [translation], "lr": config.translation_rate_mm},
    ]
    optimiser = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, config.decay_every, config.decay)
    best, best_value, start_value = start, float("inf"), float("nan")
    for step in range(config.steps + 1):
        pose = move(start, torch.cat((rotation, translation)))
        value = loss(pose)
        if step == 0:
            start_value = float(value.detach())
        if float(value.detach()) < best_value:
            best, best_value = pose.detach(), float(value.detach())
        if step == config.steps or not bool(torch.isfinite(value)):
            break
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        progress(step + 1, config.steps)
    return AdamDescent(
        camera_from_ct=best, value=best_value, start_value=start_value, iterations=step
    )
