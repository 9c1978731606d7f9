"""From starts to an answer: coarse to fine, with either solver."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.optimisation.levenberg_marquardt import Descents, minimise
from wsreg.registration.clock import Clock
from wsreg.registration.coverage import covered
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.readings import Reading
from wsreg.registration.regions import weighted
from wsreg.registration.states import distinct, with_bodies
from wsreg.registration.terms.config import RoiConfig
from wsreg.registration.verdict.evaluation import evaluate
from wsreg.registration.verdict.judge import looks_wrong
from wsreg.registration.verdict.steepness import middle, steepness

RIVAL_RATIO = 1.04
"""Another answer rivals the best one if its loss is less than this many times as large."""
PRUNE_RATIO = 1.25
"""A state whose loss is more than this many times the best one's is not refined any further."""
TIED_LOOSENESS = 10.0
"""A body that holds on to the first one may be hardly seen, and creep: a descent does not wait for
the last tenth of a degree of it."""
JOINT_ROBUST_SCALE = 0.1
"""Of 1 - Dice, where regions stay in the loss to the end: that of good masks is about 0.05."""
LEAST_LOSS = 1e-9
"""Losses are compared no further than this: the rounding of float32 is above."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a solver hands to the verdict.

    Args:
        reading: of the X-ray, in which the answer was found.
        state: [K,4,4] the best one.
        iterations, renders: steps tried, and images rendered.
        rivals: [N,K,4,4] other states with a loss nearly as low.
        starts: how many other descents reached the finest level.
        other_reading: the lowest loss with left and right exchanged over the answer's, at the
            finest level or, if it was not worth refining there, at the coarsest; None if only one
            reading was tried.
        start_kept: why the start is the answer, where it is not the best state; a sentence.
    """

    reading: Reading
    state: Tensor
    iterations: int
    renders: int
    rivals: Tensor
    starts: int
    other_reading: float | None = None
    start_kept: str = ""


def descents_from(
    problem: Problem, level: Level, starts: Tensor, steps: int | None = None
) -> Descents:
    """Return the descents from starts [N,K,4,4] at one level, all in one batch.

    They end after so many ``steps`` at most, by default as the settings say.
    """
    settings = problem.settings
    descent = settings.descent
    if steps is not None:
        descent = dataclasses.replace(descent, max_iterations=min(steps, descent.max_iterations))
    longest = settings.longest_step.vector(len(level.bodies))
    looseness = torch.full_like(longest, TIED_LOOSENESS)
    looseness[:6] = 1.0
    return minimise(
        level.linearize, level.move, starts, longest, descent, looseness, problem.observer(level)
    )


def is_lost(reading: Reading, state: Tensor) -> bool:
    """Return whether a state [K,4,4] looks so little like the X-rays that it is worth a search."""
    problem, levels = reading.problem, reading.plain
    agreements = evaluate(levels[-1], state, derivatives=False).gradient_agreements
    trust = problem.settings.trust
    if not looks_wrong(agreements, 0.0, trust):  # right even if it lay on a plain
        return False
    return looks_wrong(agreements, steepness(middle(levels).as_judged(), state), trust)


def descended(
    reading: Reading,
    starts: Tensor,
    clock: Clock,
    progress: Progress = lambda stage, done, total: None,
    *,
    led: bool = False,
    first: int = 0,
) -> Answer:
    """Descend from starts [N,K,4,4] level by level; fewer and fewer different states go on.

    Args:
        reading: of the X-ray.
        starts: the best one first, by which is told which pixels the CT covers.
        clock, progress: of the registration.
        led: whether regions of interest lead.
        first: number of the level to begin with.
    """
    problem, count_of_levels = reading.problem, len(reading.levels)
    search = problem.settings.search
    iterations = renders = 0
    for number in range(first, count_of_levels):
        progress("register", number, count_of_levels)
        reading = covered(reading, starts[0])
        problem, level = reading.problem, reading.ways(led=led)[number]
        starts = with_bodies(starts, len(level.bodies))
        descents = descents_from(problem, level, starts)
        states, losses = descents.states, descents.values
        iterations += descents.iterations
        renders += descents.evaluations
        if number == count_of_levels - 1:
            states, losses, more = _others_finished(problem, level, descents)
            iterations, renders = iterations + more, renders + more
        order = losses.argsort()
        starts, losses = states[order], losses[order]
        if number < count_of_levels - 1:
            count = search.kept if number + 2 < count_of_levels else search.finished
            starts = promising(problem, level, starts, losses, count)
        clock.lap(f"level_{number + 1}")
    progress("register", count_of_levels, count_of_levels)
    return Answer(
        reading=reading,
        state=starts[0],
        iterations=iterations,
        renders=renders,
        rivals=starts[1:][losses[1:] < RIVAL_RATIO * losses[0]],
        starts=len(starts) - 1,
    )


def with_work(answer: Answer, iterations: int, renders: int) -> Answer:
    """Return an answer with the work of what led to it."""
    return dataclasses.replace(
        answer, iterations=answer.iterations + iterations, renders=answer.renders + renders
    )


def promising(problem: Problem, level: Level, states: Tensor, losses: Tensor, count: int) -> Tensor:
    """Return at most ``count`` of states [N,K,4,4] that are worth refining, the best first.

    They differ, and their losses [N], at a level, are near the lowest.
    """
    order = losses.argsort()
    states, losses = states[order], losses[order]
    near = states[losses <= PRUNE_RATIO * losses[0]]  # losses are at least 0
    voxel_mm = max(level.bodies[0].volume.volume.spacing_mm)
    return distinct(near, count, 2.0 * voxel_mm, problem.volume.corners_mm)


def _others_finished(
    problem: Problem, level: Level, descents: Descents
) -> tuple[Tensor, Tensor, int]:
    """Return states and losses [B], with what could rival or better the best one converged.

    The last value is how many steps that took.
    """
    states, losses = descents.states, descents.values
    near = (losses < PRUNE_RATIO * losses.min()) & ~descents.converged
    near[losses.argmin()] = False
    unfinished = near.nonzero()[:, 0]
    if not len(unfinished):
        return states, losses, 0
    finished = descents_from(problem, level, states[unfinished])
    return (
        states.index_copy(0, unfinished, finished.states),
        losses.index_copy(0, unfinished, finished.values),
        finished.evaluations,
    )


def with_regions_to_the_end(answer: Answer, clock: Clock) -> Answer:
    """Return an answer of the image refined at the finest level with regions in the loss.

    A region counts less the more it disagrees with the image where that is best; where regions
    lead to what the image likes much less, however much they weigh, the image's answer stays.
    """
    problem, weight = answer.reading.problem, answer.reading.problem.settings.roi_weight
    levels = weighted(answer.reading.levels[-1:], RoiConfig(
        dice_weight=weight or 0.0, distance_weight=0.0, robust_scale=JOINT_ROBUST_SCALE
    ))  # fmt: skip
    descents = descents_from(problem, levels[0], answer.state[None])
    clock.lap("regions")
    answer = with_work(answer, descents.iterations, descents.evaluations)
    with torch.no_grad():
        image = answer.reading.plain[-1]
        before, after = image.loss(torch.stack((answer.state, descents.states[0]))).tolist()
    if not after <= PRUNE_RATIO * max(before, LEAST_LOSS):
        return answer
    return dataclasses.replace(answer, state=descents.states[0])


def loss_ratio(loss: float, lowest: float) -> float:
    """Return how many times the lowest loss, which is 0 where images are the same, another is."""
    return max(loss, LEAST_LOSS) / max(lowest, LEAST_LOSS)
