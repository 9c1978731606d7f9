"""From starts to an answer: coarse to fine, with either solver."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.optimisation.adam import minimise_adam
from wsreg.optimisation.levenberg_marquardt import Descents, minimise
from wsreg.registration.clock import Clock
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.regions import by_image, have_regions
from wsreg.registration.starts.table import STARTS
from wsreg.registration.states import distinct, with_bodies
from wsreg.registration.verdict.evaluation import evaluate
from wsreg.registration.verdict.judge import looks_wrong
from wsreg.registration.verdict.steepness import middle, steepness

RIVAL_RATIO = 1.04
"""Another answer rivals the best one if its loss is less than this many times as large."""
PRUNE_RATIO = 1.25
"""A state whose loss is more than this many times the best one's is not refined any further."""
POLARITY_STARTS = 8
"""How many descents decide between two readings of an X-ray's intensities."""
TIED_LOOSENESS = 10.0
"""A body that holds on to the first one may be hardly seen, and creep: a descent does not wait for
the last tenth of a degree of it."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a solver hands to the verdict.

    Args:
        state: [K,4,4] the best one.
        iterations, renders: steps tried, and images rendered.
        rivals: [N,K,4,4] other states with a loss nearly as low.
        starts: how many other descents reached the finest level.
        start_kept: why the start is the answer, where it is not the best state; a sentence.
    """

    state: Tensor
    iterations: int
    renders: int
    rivals: Tensor
    starts: int
    start_kept: str = ""


def solve(problem: Problem, levels: Sequence[Level], clock: Clock, progress: Progress) -> Answer:
    """Return the state found on the levels, coarse to fine."""
    return _SOLVERS[problem.settings.method](problem, levels, clock, progress)


def with_polarity_settled(problem: Problem) -> tuple[Problem, str]:
    """Return the problem with every X-ray in the polarity that fits the CT, and what was done."""
    texts = []
    for number, view in enumerate(problem.views):
        opposite = view.radiograph.opposite_polarity
        if opposite is None:
            continue
        readings = [
            dataclasses.replace(view.radiograph, image=image, opposite_polarity=None)
            for image in (view.radiograph.image, opposite)
        ]
        problems = [
            dataclasses.replace(
                problem,
                views=(
                    *problem.views[:number],
                    dataclasses.replace(view, radiograph=reading),
                    *problem.views[number + 1 :],
                ),
            )
            for reading in readings
        ]
        as_read, turned = (_least_coarse_loss(one) for one in problems)
        problem = problems[turned < as_read]
        which = "opposite" if turned < as_read else "as read"
        where = f"{view.radiograph.name}: " if len(problem.views) > 1 else ""
        texts.append(f"{where}{which}, which fits the CT better")
    return problem, "; ".join(texts) or "as read"


def _least_coarse_loss(problem: Problem) -> float:
    """Return the lowest loss that starts reach, or have, where the terms are no least squares."""
    led = make_levels(problem, 1)
    (level,) = by_image(led)
    ways = (level, *led) if level is not led[0] else (level,)
    starts = torch.cat([STARTS[problem.init](problem, way)[:POLARITY_STARTS] for way in ways])
    if level.least_squares:
        return float(_descents(problem, level, starts).values.min())
    with torch.no_grad():
        return float(level.loss(starts).min())


def _descents(problem: Problem, level: Level, starts: Tensor) -> Descents:
    settings = problem.settings
    longest = settings.longest_step.vector(len(level.bodies))
    looseness = torch.full_like(longest, TIED_LOOSENESS)
    looseness[:6] = 1.0
    return minimise(level.linearize, level.move, starts, longest, settings.descent, looseness)


def _solve_gauss_newton(
    problem: Problem, levels: Sequence[Level], clock: Clock, progress: Progress
) -> Answer:
    """Descend from the starts, and go on as long as what is found is like nothing in the X-rays.

    The image is asked alone, and led by regions of interest, where there are some; then a search
    does the same.  The image judges which is better.
    """
    plain = by_image(levels)
    best: Answer | None = None
    # A single bone is looked for near a given start only.
    wider = not (problem.render_labels and problem.init == "pose")
    for init in dict.fromkeys((problem.init, "search") if wider else (problem.init,)):
        for way in _ways(problem, levels, plain, init):
            if best is not None and not is_lost(problem, plain, best.state):
                return best
            starts = STARTS[init](problem, way[0])
            clock.lap("start")
            found = descended(problem, way, starts, clock, progress)
            if way is not plain:
                found = followed(found, _by_image_alone(problem, plain, found, clock))
            tried = problem.settings.search.poses if init == "search" else 0
            found = dataclasses.replace(found, renders=found.renders + tried)
            best = found if best is None else _better(plain[-1], best, found)
    assert best is not None
    return best


def _ways(
    problem: Problem, levels: Sequence[Level], plain: Sequence[Level], init: str
) -> list[Sequence[Level]]:
    """Return the levels by image alone and with regions, the more promising ones first.

    Regions go first where they bring a given start to what the image likes much better.
    """
    if not have_regions(levels):
        return [plain]
    if init == "search":
        return [plain, levels]
    by_image_alone, led = (
        _descents(problem, plain[0], STARTS[init](problem, way[0])).values.min()
        for way in (plain, levels)
    )
    return [levels, plain] if bool(by_image_alone > PRUNE_RATIO * led) else [plain, levels]


def _by_image_alone(problem: Problem, plain: Sequence[Level], led: Answer, clock: Clock) -> Answer:
    """Return where the image alone goes from what regions led to."""
    return descended(problem, plain[-2:], torch.cat((led.state[None], led.rivals)), clock)


def followed(before: Answer, after: Answer) -> Answer:
    """Return an answer that another one led to, with the work of both."""
    return dataclasses.replace(
        after,
        iterations=before.iterations + after.iterations,
        renders=before.renders + after.renders,
        starts=max(before.starts, after.starts),
    )


def _better(finest: Level, one: Answer, other: Answer) -> Answer:
    """Return the answer that fits better, with the work of both."""
    with torch.no_grad():
        losses = finest.loss(torch.stack((one.state, other.state)))
    return dataclasses.replace(
        other if bool(losses[1] < losses[0]) else one,
        iterations=one.iterations + other.iterations,
        renders=one.renders + other.renders + 2,
    )


def is_lost(problem: Problem, levels: Sequence[Level], state: Tensor) -> bool:
    """Return whether a state [K,4,4] looks so little like the X-rays that it is worth a search."""
    agreements = evaluate(levels[-1], state, derivatives=False).gradient_agreements
    trust = problem.settings.trust
    if not looks_wrong(agreements, 0.0, trust):  # right even if it lay on a plain
        return False
    return looks_wrong(agreements, steepness(middle(levels), state), trust)


def descended(
    problem: Problem,
    levels: Sequence[Level],
    starts: Tensor,
    clock: Clock,
    progress: Progress = lambda stage, done, total: None,
) -> Answer:
    """Descend from starts [N,K,4,4] level by level; fewer and fewer different states go on."""
    search, points = problem.settings.search, problem.volume.corners_mm
    iterations = renders = 0
    for number, level in enumerate(levels):
        progress("register", number, len(levels))
        starts = with_bodies(starts, len(level.bodies))
        descents = _descents(problem, level, starts)
        states, losses = descents.states, descents.values
        iterations += descents.iterations
        renders += descents.evaluations
        if number == len(levels) - 1:
            states, losses, more = _others_finished(problem, level, descents)
            iterations, renders = iterations + more, renders + more
        order = losses.argsort()
        starts, losses = states[order], losses[order]
        if number < len(levels) - 1:
            count = search.kept if number + 2 < len(levels) else search.finished
            promising = starts[losses <= PRUNE_RATIO * losses[0]]  # losses are at least 0
            voxel_mm = max(level.bodies[0].volume.volume.spacing_mm)
            starts = distinct(promising, count, 2.0 * voxel_mm, points)
        clock.lap(f"level_{number + 1}")
    progress("register", len(levels), len(levels))
    return Answer(
        state=starts[0],
        iterations=iterations,
        renders=renders,
        rivals=starts[1:][losses[1:] < RIVAL_RATIO * losses[0]],
        starts=len(starts) - 1,
    )


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
    finished = _descents(problem, level, states[unfinished])
    return (
        states.index_copy(0, unfinished, finished.states),
        losses.index_copy(0, unfinished, finished.values),
        finished.evaluations,
    )


def _solve_adam(
    problem: Problem, levels: Sequence[Level], clock: Clock, progress: Progress
) -> Answer:
    """Run the paper's loop at the finest level, from the start or the best state of a search."""
    settings = problem.settings
    start = with_bodies(STARTS[problem.init](problem, levels[0])[0], len(problem.bodies))
    renders = settings.search.poses if problem.init == "search" else 0
    clock.lap("start")

    def report(done: int, total: int) -> None:
        progress("register", done, total)

    def loss(state: Tensor) -> Tensor:
        return levels[-1].loss(state[None])[0]

    rates = settings.adam_rates.vector(len(problem.bodies))
    descent = minimise_adam(loss, levels[-1].move, start, rates, settings.adam, report)
    clock.lap("adam")
    return Answer(
        state=descent.state,
        iterations=descent.iterations,
        renders=renders + descent.iterations + 1,
        rivals=start[None][:0],
        starts=0,
    )


_SOLVERS: Mapping[str, Callable[[Problem, Sequence[Level], Clock, Progress], Answer]] = {
    "gauss-newton": _solve_gauss_newton,
    "adam": _solve_adam,
}
