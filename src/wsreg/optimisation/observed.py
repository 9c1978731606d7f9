"""What a solver tells of its way to whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """Where B descents stand: at their starts first, then after each step.

    Args:
        states: [B,...], the best so far of a solver that takes no step that does not improve.
        values: [B] losses there.
        tried: [B] bool, which have tried a step; none of those that have ended, and none at first.
        accepted: [B] bool, which steps have been taken (all where descents begin); of a solver that
            takes every step, those to the lowest loss so far.
        damping: [B] of the steps, NaN for a solver that has none.
    """

    states: Tensor
    values: Tensor
    tried: Tensor
    accepted: Tensor
    damping: Tensor


Observe = Callable[[Observed], None]
