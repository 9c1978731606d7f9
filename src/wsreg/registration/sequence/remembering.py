"""A level that keeps what it has projected, so that an answer need not be projected once more."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wsreg.registration.level import Level
from wsreg.registration.projection import Projection
from wsreg.registration.verdict.evaluation import Evaluation, evaluate


@dataclass(frozen=True, kw_only=True, eq=False)
class RememberingLevel(Level):
    """The same level; ``seen`` holds single states [1,K,4,4] and their projections, the last last.

    Only what was projected with derivatives is kept.
    """

    seen: list[tuple[Tensor, tuple[Projection, ...]]] = field(default_factory=list)

    def project(self, states: Tensor, *, derivatives: bool = False) -> tuple[Projection, ...]:
        """Return each view's projection of states, kept where they are a single one."""
        projections = super().project(states, derivatives=derivatives)
        if derivatives and len(states) == 1:
            self.seen.append((states.detach().clone(), projections))
        return projections

    def evaluation(self, state: Tensor) -> Evaluation:
        """Return a state [K,4,4] as the level shows it with derivatives."""
        for states, projections in reversed(self.seen):
            if torch.equal(states[0], state):
                return Evaluation(level=self, state=state.detach(), projections=projections)
        return evaluate(self, state, derivatives=True)


def remembering(level: Level) -> RememberingLevel:
    """Return a level as one that remembers."""
    names = (one.name for one in dataclasses.fields(level))
    return RememberingLevel(**{name: getattr(level, name) for name in names})
