"""What a start is."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from wsreg.registration.level import Level
from wsreg.registration.problem import Problem

Start = Callable[[Problem, Level], Tensor]
"""(problem, coarsest level) -> states [N,K,4,4] that are refined there."""
