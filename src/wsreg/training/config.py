"""Settings of a training, whatever is trained, and the learning rate that follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from wsreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a network is fitted.

    Args:
        optimiser: ``adam`` (the paper's) or ``adamw``.
        learning_rate: its peak.
        schedule: ``constant``, or ``cosine`` after a warm-up of a twentieth of the steps.
        weight_decay: of adamw.
        batch: images a step.
        steps: in all.
        save_every: steps between states from which a run can go on.
        seed: of weights and of everything that a step draws.

    Raises:
        InputError: a learning rate that is negative or not finite, counts below 1, or a seed
            below 0.
    """

    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 6e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    weight_decay: float = 1e-4
    batch: int = 8
    steps: int = 8000
    save_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.learning_rate < math.inf:
            raise InputError(
                f"learning_rate must be finite and at least 0, got {self.learning_rate}"
            )
        if self.seed < 0:
            raise InputError(f"seed must be at least 0, got {self.seed}")
        for name in ("batch", "steps", "save_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")


def learning_rate(config: FitConfig, step: int) -> float:
    """Return the learning rate at a step."""
    if config.schedule == "constant":
        return config.learning_rate
    warm_up = max(1, config.steps // 20)
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    done = (step - warm_up) / max(1, config.steps - warm_up)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))
