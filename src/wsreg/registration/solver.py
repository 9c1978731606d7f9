"""From a problem to its answer: which starts, which reading of the X-ray, which solver."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.registration.attempts import Attempt, attempts, starts_of
from wsreg.registration.clock import Clock
from wsreg.registration.coverage import covered
from wsreg.registration.level import Level
from wsreg.registration.paper_loop import solve_adam
from wsreg.registration.problem import Problem
from wsreg.registration.readings import Reading, near_matches, readings_of
from wsreg.registration.regions import have_regions
from wsreg.registration.states import with_bodies
from wsreg.registration.strategy import (
    PRUNE_RATIO,
    RIVAL_RATIO,
    Answer,
    Progress,
    descended,
    descents_from,
    is_lost,
    loss_ratio,
    promising,
    with_regions_to_the_end,
    with_work,
)

SPARED_MM = 60.0
"""Of the CT at its cut ends, what does not count where a state is to move across an end."""
MANY, FIRST_STEPS = 8, 6
"""Of so many descents the worse half is given up after the first steps."""


def solve(problem: Problem, levels: Sequence[Level], clock: Clock, progress: Progress) -> Answer:
    """Return the state found on the levels, coarse to fine, and the reading that it is of."""
    return _SOLVERS[problem.settings.method](problem, levels, clock, progress)


def _solve_gauss_newton(
    problem: Problem, levels: Sequence[Level], clock: Clock, progress: Progress
) -> Answer:
    """Make one attempt after the other, as long as what is found is like nothing in the X-rays.

    The image is asked alone, and led by regions of interest, where there are some; then a search
    does the same.  The image judges which is better.
    """
    readings = readings_of(problem, levels)
    best: Answer | None = None
    for attempt in attempts(problem, ways=_ways(readings[0])):
        if best is not None and not (is_lost(best.reading, best.state) or _undecided(best)):
            break
        asked = readings[:1] if attempt.init == "pose" else readings
        found = _attempted(attempt, asked, clock, progress)
        best = found if best is None else _best((best, found))
    assert best is not None
    return best if problem.settings.roi_weight is None else with_regions_to_the_end(best, clock)


def _undecided(answer: Answer) -> bool:
    """Return whether the other reading of the X-ray fits as well as the answer."""
    return answer.other_reading is not None and answer.other_reading < RIVAL_RATIO


def _ways(reading: Reading) -> tuple[bool, ...]:
    """Return whether regions of interest lead, for each way to try a start, in this order.

    Regions go first where they bring a given start to what the image likes much better.
    """
    problem = reading.problem
    if not have_regions(reading.levels):
        return (False,)
    if problem.init in ("search", "roi"):
        return False, True
    attempt, level = Attempt(init=problem.init), reading.plain[0]
    ways = [reading.ways(led=led)[0] for led in (False, True)]
    by_image_alone, led = (
        descents_from(problem, level, starts_of(attempt, problem, way)).values.min() for way in ways
    )
    return (True, False) if bool(by_image_alone > PRUNE_RATIO * led) else (False, True)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Coarse:
    """What a level says of one reading: states [N,K,4,4] and losses [N] of descents."""

    reading: Reading
    states: Tensor
    losses: Tensor
    iterations: int
    renders: int
    number: int = 0

    @property
    def lowest(self) -> float:
        return float(self.losses.min())


def _attempted(
    attempt: Attempt, readings: Sequence[Reading], clock: Clock, progress: Progress
) -> Answer:
    """Descend from starts in each reading of the X-ray; those that fit nearly as well go on."""
    found = []
    for reading in readings:
        led = attempt.led or attempt.init == "roi"  # which is made of regions, whoever leads then
        starts = starts_of(attempt, reading.problem, reading.ways(led=led)[0])
        # where a search begins says nothing of what the CT covers
        begun = reading if attempt.init == "search" else covered(reading, starts[0])
        found.append(_descended_coarse(begun, starts, led=attempt.led))
    clock.lap("start")
    if attempt.init in ("search", "dicom") and len(readings[0].problem.views) == 1:
        found = _with_near_matches(found, led=attempt.led)
    found = [_by_what_is_covered(one, led=attempt.led, beyond=attempt.wide) for one in found]
    clock.lap("level_1")
    near, out = _pruned(found)
    if len(near) > 1 and len(near[0].reading.levels) > 2:
        near, more = _pruned([_on_next_level(one, led=attempt.led) for one in near])
        out += more
        clock.lap("level_2")
    best = _best([_refined(one, clock, progress, led=attempt.led) for one in near])
    for one, ratio in out:
        best = with_work(best, one.iterations, one.renders)
        best = dataclasses.replace(best, other_reading=ratio)
    return _not_mirrored_without_need(best, readings[0], clock)


def _not_mirrored_without_need(answer: Answer, as_it_came: Reading, clock: Clock) -> Answer:
    """Return the answer; one of the mirrored X-ray only if the X-ray as it came fits no better.

    A coarse answer's near matches may be too far off to be found, those of a fine one are not.
    """
    if not answer.reading.mirrored:
        return answer
    before = max(0, len(as_it_came.levels) - 2)
    _, other = near_matches(answer.state[:1], as_it_came.problem.bodies[0].pivot_mm)
    found = _descended_coarse(as_it_came, other, led=False, number=before, steps=FIRST_STEPS)
    level = answer.reading.plain[before]
    with torch.no_grad():
        own = float(level.loss(with_bodies(answer.state, len(level.bodies))[None]))
    if found.lowest > PRUNE_RATIO * own:
        return with_work(answer, found.iterations, found.renders)
    return _best((answer, _refined(found, clock, lambda stage, done, total: None, led=False)))


def _pruned(found: Sequence[_Coarse]) -> tuple[list[_Coarse], list[tuple[_Coarse, float]]]:
    """Return what is worth refining, and the rest, each with its lowest loss over the lowest."""
    lowest = min(one.lowest for one in found)
    ratios = [(one, loss_ratio(one.lowest, lowest)) for one in found]
    near = [one for one, _ in ratios if one.lowest <= PRUNE_RATIO * lowest]
    return near, [pair for pair in ratios if pair[0] not in near]


def _descended_coarse(
    reading: Reading, starts: Tensor, *, led: bool, number: int = 0, steps: int | None = None
) -> _Coarse:
    """Return where descents at a level end; of many starts half are given up on the way."""
    problem, level = reading.problem, reading.ways(led=led)[number]
    states, iterations, renders = with_bodies(starts, len(level.bodies)), 0, 0
    if len(states) >= MANY:
        begun = descents_from(problem, level, states, FIRST_STEPS)
        states = begun.states[begun.values.argsort()][: len(states) // 2]
        iterations, renders = begun.iterations, begun.evaluations
    descents = descents_from(problem, level, states, steps)
    return _Coarse(
        reading=reading,
        states=descents.states,
        losses=descents.values,
        iterations=descents.iterations + iterations,
        renders=descents.evaluations + renders,
        number=number,
    )


def _on_next_level(found: _Coarse, *, led: bool) -> _Coarse:
    """Return where the promising states go on the next finer level, with the work of both."""
    starts = _promising(found, led=led)
    reading = covered(found.reading, starts[0])
    finer = _descended_coarse(reading, starts, led=led, number=found.number + 1)
    return _with_work_of(finer, found)


def _promising(found: _Coarse, *, led: bool) -> Tensor:
    search, level = found.reading.problem.settings.search, found.reading.ways(led=led)[found.number]
    count = search.kept if found.number + 2 < len(found.reading.levels) else search.finished
    return promising(found.reading.problem, level, found.states, found.losses, count)


def _with_near_matches(found: Sequence[_Coarse], *, led: bool) -> list[_Coarse]:
    """Return what was found with descents from what shows nearly the same as the best of each."""
    pivot_mm = found[0].reading.problem.bodies[0].pivot_mm
    more: list[list[Tensor]] = [[] for _ in found]
    for number, one in enumerate(found):
        same, other = near_matches(one.states[one.losses.argmin()], pivot_mm)
        more[number].append(same)
        if len(found) > 1:
            more[1 - number].append(other)
    return [
        _joined(one, _descended_coarse(one.reading, torch.cat(starts), led=led, steps=FIRST_STEPS))
        for one, starts in zip(found, more, strict=True)
    ]


def _by_what_is_covered(found: _Coarse, *, led: bool, beyond: bool) -> _Coarse:
    """Return what was found, where the CT is cut off, with each state by the pixels it covers.

    The reading is then that of the best state.  An X-ray ``beyond`` an end of the CT is like no
    pose in all of its pixels, but like one where the CT fills it: such states are led on by what
    is far from the ends.
    """
    reading, states = found.reading, _promising(found, led=led)
    led_on = _led_on(reading, states, led=led) if beyond else []
    states = torch.cat((states, *(one.states for one in led_on)))
    found = functools.reduce(_with_work_of, led_on, found)
    begun = [covered(reading, state) for state in states]
    if not led_on and all(one is reading for one in begun):
        return found
    each = [
        _descended_coarse(one, state[None], led=led)
        for one, state in zip(begun, states, strict=True)
    ]
    best = min(each, key=lambda one: one.lowest)
    joined = _with_work_of(functools.reduce(_joined, each), found)
    return dataclasses.replace(joined, reading=best.reading)


def _with_work_of(found: _Coarse, other: _Coarse) -> _Coarse:
    return dataclasses.replace(
        found,
        iterations=found.iterations + other.iterations,
        renders=found.renders + other.renders,
    )


def _led_on(reading: Reading, states: Tensor, *, led: bool) -> list[_Coarse]:
    """Return where states go by what lies far from the ends of the CT, of those near an end."""
    spared = [(covered(reading, state, spared_mm=SPARED_MM), state) for state in states]
    return [
        _descended_coarse(one, state[None], led=led) for one, state in spared if one is not reading
    ]


def _joined(one: _Coarse, other: _Coarse) -> _Coarse:
    """Return what two batches of descents found in one reading."""
    return dataclasses.replace(
        one,
        states=torch.cat((one.states, other.states)),
        losses=torch.cat((one.losses, other.losses)),
        iterations=one.iterations + other.iterations,
        renders=one.renders + other.renders,
    )


def _refined(found: _Coarse, clock: Clock, progress: Progress, *, led: bool) -> Answer:
    """Descend on the finer levels from the best of what the coarsest one says of a reading.

    Where regions led, the image alone has the last word.
    """
    starts, last = _promising(found, led=led), len(found.reading.levels) - 1
    first = min(found.number + 1, last)
    answer = descended(found.reading, starts, clock, progress, led=led, first=first)
    answer = with_work(answer, found.iterations, found.renders)
    if not led:
        return answer
    states = torch.cat((answer.state[None], answer.rivals))
    alone = descended(answer.reading, states, clock, first=max(0, last - 1))
    alone = dataclasses.replace(alone, starts=max(alone.starts, answer.starts))
    return with_work(alone, answer.iterations, answer.renders)


def _best(answers: Sequence[Answer]) -> Answer:
    """Return the answer that fits best by the image, with the work of all.

    It knows how near the other reading comes to it.
    """
    with torch.no_grad():
        losses = [float(one.reading.plain[-1].loss(one.state[None])) for one in answers]
    best = answers[losses.index(min(losses))]
    ratios = [
        loss_ratio(loss, min(losses))
        for loss, one in zip(losses, answers, strict=True)
        if one.reading.mirrored != best.reading.mirrored
    ]
    ratios += [] if best.other_reading is None else [best.other_reading]
    return dataclasses.replace(
        best,
        iterations=sum(one.iterations for one in answers),
        renders=sum(one.renders for one in answers),
        other_reading=min(ratios, default=None),
    )


_SOLVERS: Mapping[str, Callable[[Problem, Sequence[Level], Clock, Progress], Answer]] = {
    "gauss-newton": _solve_gauss_newton,
    "adam": solve_adam,
}
