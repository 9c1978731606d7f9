"""From a problem to its answer: which starts, which reading of the X-ray, which solver."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.optimisation.adam import minimise_adam
from wsreg.registration.clock import Clock
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.readings import Reading, near_matches, readings_of
from wsreg.registration.starts.table import STARTS
from wsreg.registration.states import with_bodies
from wsreg.registration.strategy import (
    PRUNE_RATIO,
    Answer,
    Progress,
    descended,
    descents_from,
    is_lost,
    promising,
)

UPRIGHT = torch.eye(4, dtype=torch.float64)
QUARTER = torch.tensor(
    [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Solved:
    """An answer, and the reading of the X-ray that it is of.

    Args:
        problem: in that reading.
        levels: of it, coarse to fine.
        answer: the state found.
        mirrored: whether the X-ray is mirrored in that reading.
        other_reading: the lowest loss in the other reading over the answer's, at the finest level
            or, if it was not worth refining there, at the coarsest; None if only one was tried.
    """

    problem: Problem
    levels: Sequence[Level]
    answer: Answer
    mirrored: bool = False
    other_reading: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Coarse:
    """What the coarsest level says of one reading: states [N,1,4,4] and losses [N] of descents."""

    reading: Reading
    states: Tensor
    losses: Tensor
    iterations: int
    renders: int

    @property
    def lowest(self) -> float:
        return float(self.losses.min())

    def with_more(self, starts: Tensor) -> _Coarse:
        """Return the same with descents from more starts."""
        more = _descended_coarse(self.reading, starts)
        return dataclasses.replace(
            self,
            states=torch.cat((self.states, more.states)),
            losses=torch.cat((self.losses, more.losses)),
            iterations=self.iterations + more.iterations,
            renders=self.renders + more.renders,
        )


def solve(problem: Problem, levels: Sequence[Level], clock: Clock, progress: Progress) -> Solved:
    """Return the state found on the levels, coarse to fine, and the reading that it is of."""
    return _SOLVERS[problem.settings.method](problem, levels, clock, progress)


def _solve_gauss_newton(
    problem: Problem, levels: Sequence[Level], clock: Clock, progress: Progress
) -> Solved:
    """Descend from the starts, and by wider and wider searches while they end at nothing alike."""
    if problem.init == "pose":
        starts = STARTS["pose"](problem, levels[0])
        clock.lap("start")
        answer = descended(problem, levels, starts, clock, progress)
        found = Solved(problem=problem, levels=levels, answer=answer)
    else:
        found = _found_both_ways(problem, levels, problem.init, clock, progress)
    for turn in (UPRIGHT, QUARTER):
        if turn is UPRIGHT and problem.init == "search":
            continue
        if is_lost(found.problem, found.levels, found.answer.state):
            found = _best(
                [found, _found_both_ways(problem, levels, "search", clock, progress, turn)]
            )
    return found


def _found_both_ways(
    problem: Problem,
    levels: Sequence[Level],
    init: str,
    clock: Clock,
    progress: Progress,
    turn: Tensor = UPRIGHT,
) -> Solved:
    """Descend from starts in every reading of the X-ray; those that fit nearly as well go on.

    The starts are those of the image turned by ``turn`` [4,4] about the optical axis.
    """
    found = []
    for reading in readings_of(problem, levels):
        turned = dataclasses.replace(reading.problem, start=turn @ reading.problem.start)
        found.append(_descended_coarse(reading, STARTS[init](turned, reading.levels[0])))
    clock.lap("start")
    if len(problem.views) == 1:
        found = _with_near_matches(found)
    clock.lap("level_1")
    lowest = min(one.lowest for one in found)
    near = [one for one in found if one.lowest <= PRUNE_RATIO * lowest]
    best = _best([_refined(one, clock, progress) for one in near])
    if len(near) < len(found):
        other = max(one.lowest for one in found) / lowest
        best = dataclasses.replace(best, other_reading=other)
    return best


def _descended_coarse(reading: Reading, starts: Tensor) -> _Coarse:
    level = reading.levels[0]
    descents = descents_from(reading.problem, level, with_bodies(starts, len(level.bodies)))
    return _Coarse(
        reading=reading,
        states=descents.states,
        losses=descents.values,
        iterations=descents.iterations,
        renders=descents.evaluations,
    )


def _with_near_matches(found: Sequence[_Coarse]) -> list[_Coarse]:
    """Return what was found with descents from what shows nearly the same as the best of each."""
    pivot_mm = found[0].reading.problem.bodies[0].pivot_mm
    more: list[list[Tensor]] = [[] for _ in found]
    for number, one in enumerate(found):
        same, other = near_matches(one.states[one.losses.argmin()], pivot_mm)
        more[number].append(same)
        if len(found) > 1:
            more[1 - number].append(other)
    return [one.with_more(torch.cat(starts)) for one, starts in zip(found, more, strict=True)]


def _refined(found: _Coarse, clock: Clock, progress: Progress) -> Solved:
    """Descend on the finer levels from the best of what the coarsest one says of a reading."""
    problem, levels = found.reading.problem, found.reading.levels
    count = problem.settings.search.kept
    starts = promising(problem, levels[0], found.states, found.losses, count)
    first = min(1, len(levels) - 1)
    answer = descended(problem, levels, starts, clock, progress, first=first)
    answer = dataclasses.replace(
        answer,
        iterations=answer.iterations + found.iterations,
        renders=answer.renders + found.renders,
    )
    return Solved(problem=problem, levels=levels, answer=answer, mirrored=found.reading.mirrored)


def _best(solved: Sequence[Solved]) -> Solved:
    """Return the answer with the lowest loss, and how near the other reading comes to it."""
    with torch.no_grad():
        losses = [float(one.levels[-1].loss(one.answer.state[None])) for one in solved]
    lowest = min(losses)
    best = solved[losses.index(lowest)]
    ratios = [
        loss / lowest
        for loss, one in zip(losses, solved, strict=True)
        if one.mirrored != best.mirrored
    ]
    ratios += [
        one.other_reading
        for one in solved
        if one.mirrored == best.mirrored and one.other_reading is not None
    ]
    total = dataclasses.replace(
        best.answer,
        iterations=sum(one.answer.iterations for one in solved),
        renders=sum(one.answer.renders for one in solved),
    )
    return dataclasses.replace(best, answer=total, other_reading=min(ratios, default=None))


def _solve_adam(
    problem: Problem, levels: Sequence[Level], clock: Clock, progress: Progress
) -> Solved:
    """Run the paper's loop at the finest level, from the start or the best state of a search."""
    settings = problem.settings
    readings = readings_of(problem, levels)[: 1 if problem.init == "pose" else None]
    starts = [STARTS[problem.init](one.problem, one.levels[0])[0] for one in readings]
    with torch.no_grad():
        losses = [
            float(one.levels[0].loss(start[None]))
            for one, start in zip(readings, starts, strict=True)
        ]
    number = losses.index(min(losses))
    reading, start = readings[number], with_bodies(starts[number], len(problem.bodies))
    finest = reading.levels[-1]
    clock.lap("start")

    def report(done: int, total: int) -> None:
        progress("register", done, total)

    def loss(state: Tensor) -> Tensor:
        return finest.loss(state[None])[0]

    rates = settings.adam_rates.vector(len(problem.bodies))
    descent = minimise_adam(loss, finest.move, start, rates, settings.adam, report)
    clock.lap("adam")
    answer = Answer(
        state=descent.state,
        iterations=descent.iterations,
        renders=descent.iterations + 1,
        rivals=start[None][:0],
        starts=0,
    )
    return Solved(
        problem=reading.problem,
        levels=reading.levels,
        answer=answer,
        mirrored=reading.mirrored,
        other_reading=max(losses) / min(losses) if len(losses) > 1 else None,
    )


_SOLVERS: Mapping[str, Callable[[Problem, Sequence[Level], Clock, Progress], Solved]] = {
    "gauss-newton": _solve_gauss_newton,
    "adam": _solve_adam,
}
