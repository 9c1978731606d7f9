"""The ways of all descents of a registration, and among them the one to the answer.

States go from one descent to the next as they are, so an answer's way is found backwards: the
descent that ended at it, the one that ended where that began, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from wsreg.optimisation.observed import Observe, Observed
from wsreg.registration.level import Level
from wsreg.registration.states import with_bodies

SAME = 1e-9
"""States are the same whose numbers differ by no more: moves by nothing round, too."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Way:
    """What one of a batch of descents went through at a level.

    Args:
        level: at which it was.
        states: [S,K,4,4], where it began and after each step that it tried.
        values: [S] losses there.
        accepted: [S] whether the step was taken.
        damping: [S] of the step.
    """

    level: Level
    states: Tensor
    values: Tensor
    accepted: Tensor
    damping: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Descents of B states at a level, as they were observed step by step."""

    level: Level
    steps: list[Observed] = field(default_factory=list)

    def way_to(self, state: Tensor) -> Way | None:
        """Return the way of the descent that ended at a state [K,4,4]; None if none did."""
        if not self.steps:
            return None
        values = torch.stack([step.values for step in self.steps]).nan_to_num(nan=float("inf"))
        states = torch.stack([step.states for step in self.steps])
        apart = (with_bodies(states, len(state)) - state).abs().flatten(2).amax(dim=-1)
        found = ((apart <= SAME) & (values == values.amin(dim=0))).nonzero()
        if not len(found):
            return None
        last, entry = found[-1].tolist()
        tried = [0, *(n for n in range(1, last + 1) if bool(self.steps[n].tried[entry]))]
        return Way(
            level=self.level,
            states=states[tried, entry],
            values=values[tried, entry],
            accepted=torch.stack([self.steps[n].accepted[entry] for n in tried]),
            damping=torch.stack([self.steps[n].damping[entry] for n in tried]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Spread:
    """States [N,K,4,4] that were laid around one [K,4,4]."""

    middle: Tensor
    states: Tensor

    def has(self, state: Tensor) -> bool:
        """Return whether a state [K,4,4] is one of them."""
        apart = (with_bodies(self.states, len(state)) - state).abs().flatten(1).amax(dim=-1)
        return bool((apart <= SAME).any())


@dataclass(frozen=True, kw_only=True, eq=False)
class Recorder:
    """All descents of a registration, and probes beside where some ended, in their order."""

    events: list[Batch | Spread] = field(default_factory=list)

    def begun(self, level: Level) -> Observe:
        """Return what observes the descents of a batch that begins at a level."""
        batch = Batch(level=level)
        self.events.append(batch)
        return batch.steps.append

    def spread(self, middle: Tensor, states: Tensor) -> None:
        """Note that states [N,K,4,4] were laid around one [K,4,4]."""
        self.events.append(Spread(middle=middle, states=states))

    def way_to(self, state: Tensor) -> list[Way]:
        """Return the ways, the first one first, that led to a state [K,4,4]; none if none did."""
        ways: list[Way] = []
        for event in reversed(self.events):
            if isinstance(event, Spread):
                state = event.middle if event.has(state) else state
                continue
            way = event.way_to(state)
            if way is not None:
                ways.insert(0, way)
                state = way.states[0]
        return ways
