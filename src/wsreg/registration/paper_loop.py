"""The paper's solver: Adam on image and regions together, from one state (sections 2.2 and 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wsreg.optimisation.adam import minimise_adam
from wsreg.registration.attempts import Attempt, starts_of
from wsreg.registration.clock import Clock
from wsreg.registration.coverage import covered
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.readings import readings_of
from wsreg.registration.states import with_bodies
from wsreg.registration.strategy import Answer, Progress, loss_ratio


def solve_adam(
    problem: Problem, levels: Sequence[Level], clock: Clock, progress: Progress
) -> Answer:
    """Run the paper's loop at the finest level, from the start or the best state of a search."""
    settings = problem.settings
    readings = readings_of(problem, levels)[: 1 if problem.init == "pose" else None]
    attempt = Attempt(init=problem.init)
    starts = [starts_of(attempt, one.problem, one.levels[0])[0] for one in readings]
    with torch.no_grad():
        losses = [
            float(one.levels[0].loss(start[None]))
            for one, start in zip(readings, starts, strict=True)
        ]
    number = losses.index(min(losses))
    reading = covered(readings[number], starts[number])
    start, finest = with_bodies(starts[number], len(problem.bodies)), reading.levels[-1]
    clock.lap("start")

    def report(done: int, total: int) -> None:
        progress("register", done, total)

    def loss(state: Tensor) -> Tensor:
        return finest.loss(state[None])[0]

    rates = settings.adam_rates.vector(len(problem.bodies))
    descent = minimise_adam(
        loss, finest.move, start, rates, settings.adam, report, reading.problem.observer(finest)
    )
    clock.lap("adam")
    return Answer(
        reading=reading,
        state=descent.state,
        iterations=descent.iterations,
        renders=descent.iterations + 1,
        rivals=start[None][:0],
        starts=0,
        other_reading=loss_ratio(max(losses), min(losses)) if len(losses) > 1 else None,
    )
