"""From starts to an answer: coarse to fine with either solver."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.registration.adam import minimise_adam
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.levenberg_marquardt import minimise
from wsreg.registration.objective import Level, rendered
from wsreg.registration.problem import Problem, StartKind, coarsest_level
from wsreg.registration.search import SearchConfig, distinct, poses_around, rank
from wsreg.registration.trust import regional_similarity

RIVAL = 1.04
"""Another answer rivals the best one if its loss is less than this many times as large.  On real
anatomy the pose one rib or vertebra further has a loss 1.09 times as large as the true one."""
HOPELESS = 1.25
"""A pose whose loss is more than this many times the best one's is not refined any further."""
POLARITY_STARTS = 8
"""How many descents decide between two readings of an X-ray's intensities."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a solver hands to the verdict."""

    camera_from_ct: Tensor
    iterations: int
    renders: int
    rivals: tuple[Tensor, ...]
    starts: int


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.begin = self.last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.last
        self.last = now

    def stop(self) -> dict[str, float]:
        return {**self.seconds, "total": time.perf_counter() - self.begin}


def with_polarity_settled(problem: Problem) -> tuple[Problem, str]:
    """The problem with the radiograph in the polarity that fits the CT, where that was open."""
    radiograph = problem.radiograph
    if radiograph.opposite_polarity is None:
        return problem, "as read"
    other = dataclasses.replace(
        radiograph, image=radiograph.opposite_polarity, opposite_polarity=None
    )
    same = dataclasses.replace(radiograph, opposite_polarity=None)
    readings = [dataclasses.replace(problem, radiograph=reading) for reading in (same, other)]
    losses = []
    for reading in readings:
        level = coarsest_level(reading)
        starts = first_poses(level, reading, reading.kind)[:POLARITY_STARTS]
        descents = minimise(level.linearize, level.move, starts, problem.settings.descent)
        losses.append(float(descents.values.min()))
    if losses[1] < losses[0]:
        return readings[1], "opposite, which fits the CT better"
    return readings[0], "as read, which fits the CT better"


def first_poses(level: Level, problem: Problem, kind: StartKind) -> Tensor:
    """[N,4,4] what the coarsest level begins with.

    The best poses of a search, or a start and probes beside it.  Known regions of interest first
    bring a search's poses near, and a start to where the probes then are; the start itself stays
    among them, lest bad masks lead away from a good one.
    """
    start, settings = problem.start, problem.settings
    if kind == "search":
        tried = poses_around(start, problem.pivot_mm, settings.search, settings.seed)
        best = rank(level, tried)[0][: settings.search.refined]
        return _approached(level, best, settings)
    probes = _with_probes(start, problem.pivot_mm, settings)
    if level.rois is None:
        return probes
    nearest = _approached(level, probes, settings)[0]
    return torch.cat((start[None], _with_probes(nearest, problem.pivot_mm, settings)))


def _approached(level: Level, poses: Tensor, settings: RegistrationConfig) -> Tensor:
    """The poses [N,4,4] after descents on the rendered regions of interest alone, best first."""
    if level.rois is None or level.rois.moving is not None:
        return poses
    terms = dataclasses.replace(level.rois, config=settings.roi_approach)
    descents = minimise(terms.linearize, level.move, poses, settings.descent)
    return descents.camera_from_ct[descents.values.argsort()]


def solve(problem: Problem, levels: list[Level], clock: Clock, progress: Progress) -> Answer:
    """The pose found on the levels, coarse to fine."""
    by_method = _solve_adam if problem.settings.method == "adam" else _solve_gauss_newton
    return by_method(problem, levels, clock, progress)


def _solve_gauss_newton(
    problem: Problem, levels: list[Level], clock: Clock, progress: Progress
) -> Answer:
    """From the first poses; if a given start ends at nothing alike, from a search around it."""
    settings = problem.settings
    starts = first_poses(levels[0], problem, problem.kind)
    clock.lap("start")
    answer = _descend(levels, starts, settings, clock, progress)
    tried = settings.search.poses if problem.kind == "search" else 0
    if problem.kind != "search" and _is_lost(levels[-1], answer.camera_from_ct, settings):
        starts = first_poses(levels[0], problem, "search")
        clock.lap("start")
        wider = _descend(levels, starts, settings, clock, progress)
        both = torch.stack((answer.camera_from_ct, wider.camera_from_ct))
        losses = levels[-1].loss(both)
        better = wider if bool(losses[1] < losses[0]) else answer
        tried = settings.search.poses + len(both)
        answer = dataclasses.replace(
            better,
            iterations=answer.iterations + wider.iterations,
            renders=answer.renders + wider.renders,
        )
    return dataclasses.replace(answer, renders=answer.renders + tried)


def _is_lost(level: Level, pose: Tensor, settings: RegistrationConfig) -> bool:
    found = regional_similarity(level.fixed, level.mask, rendered(level, pose))
    return found < settings.trust.regional_similarity[1]


def _descend(
    levels: list[Level],
    starts: Tensor,
    settings: RegistrationConfig,
    clock: Clock,
    progress: Progress,
) -> Answer:
    """Coarse to fine; fewer and fewer different poses go on from level to level."""
    search, points = settings.search, levels[0].volume.corners_mm
    iterations = renders = 0
    for number, level in enumerate(levels):
        progress("register", number, len(levels))
        descents = minimise(level.linearize, level.move, starts, settings.descent)
        iterations += descents.iterations
        renders += descents.evaluations
        order = descents.values.argsort()
        starts, losses = descents.camera_from_ct[order], descents.values[order]
        if number < len(levels) - 1:
            count = search.kept if number + 2 < len(levels) else search.finished
            promising = starts[losses <= HOPELESS * losses[0]]
            starts = distinct(promising, count, 2.0 * max(level.volume.spacing_mm), points)
        clock.lap(f"level_{number + 1}")
    progress("register", len(levels), len(levels))
    rivals = starts[1:][losses[1:] < RIVAL * losses[0]]
    return Answer(
        camera_from_ct=starts[0],
        iterations=iterations,
        renders=renders,
        rivals=tuple(rivals),
        starts=len(starts) - 1,
    )


def _with_probes(start: Tensor, pivot_mm: Tensor, settings: RegistrationConfig) -> Tensor:
    """[1+probes,4,4]: the start, and some beside it: do they all end in one place?"""
    around = SearchConfig(rotation_deg=6.0, shift_mm=15.0, depth_mm=40.0, poses=settings.probes + 1)
    return poses_around(start, pivot_mm, around, settings.seed)


def _solve_adam(problem: Problem, levels: list[Level], clock: Clock, progress: Progress) -> Answer:
    """The paper's loop at the finest level, from the start or the best pose of a search."""
    settings, start, renders = problem.settings, problem.start, 0
    if problem.kind == "search":
        start, renders = first_poses(levels[0], problem, "search")[0], settings.search.poses
        clock.lap("start")

    def report(done: int, total: int) -> None:
        progress("register", done, total)

    def loss(pose: Tensor) -> Tensor:
        return levels[-1].loss(pose[None])[0]

    descent = minimise_adam(loss, levels[-1].move, start, settings.adam, report)
    clock.lap("adam")
    return Answer(camera_from_ct=descent.camera_from_ct, iterations=descent.iterations,
                   renders=renders + descent.iterations + 1, rivals=(), starts=0)  # fmt: skip
