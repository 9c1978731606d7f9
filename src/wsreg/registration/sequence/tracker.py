"""One frame of a sequence: as a single X-ray, from the frames beside it, or by a search nearby."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.registration.asked import asked_views, checked_rois
from wsreg.registration.clock import Clock
from wsreg.registration.coverage import covered_pixels
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.readings import Reading, mirrored_view
from wsreg.registration.regions import have_regions
from wsreg.registration.register import registered
from wsreg.registration.result import Verdict
from wsreg.registration.sequence.frames import Frame, Frames, blank_views, check_alike
from wsreg.registration.sequence.passes import starts_at
from wsreg.registration.sequence.remembering import remembering
from wsreg.registration.sequence.step import Step, Way, best_of
from wsreg.registration.sequence.weighing import losses_at, rightness_of, weighed
from wsreg.registration.starts.table import STARTS
from wsreg.registration.states import with_bodies
from wsreg.registration.strategy import descended, descents_from
from wsreg.registration.verdict.evidence import evidence_from_record
from wsreg.registration.verdict.judge import looks_wrong
from wsreg.registration.verdict.steepness import middle
from wsreg.registration.views import View

UNLIKE = 0.25
"""A loss that is higher by this much than that of the frame beside it is worth no finer look: the
images share next to nothing."""
MOST_STEPS, STEP_TOLERANCE = 12, 2e-3
"""Of a descent: one that begins near its answer needs 3.  Twice the tolerance of single X-rays is
0.01 degrees, 0.05 mm across and 0.1 mm in depth; errors are the same, and it saves a step."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracker:
    """What all frames share.

    Args:
        problem: of a frame that can be read, as asked for.
        frames: of the sequence.
        any_camera: whether the frames' own cameras do not count.
    """

    problem: Problem
    frames: Frames
    any_camera: bool = False

    def attempt(self, number: int, way: Way, found: Sequence[Step]) -> Step:
        """Try a frame; one that cannot be read, or shows nothing, says so.

        It is tried as ``way`` says, beginning at what was ``found`` beside it, the nearest first.

        Raises:
            InputError: it is of another size or camera than the others, or its regions do not fit.
        """
        try:
            frame = self.frames[number]
        except InputError as error:
            reason = f"The frame cannot be read: {error}."
            return self._nothing(number, self.frames.name(number), reason)
        blank = blank_views(frame)
        if blank:
            where = f" in {' and '.join(blank)}" if len(frame.radiographs) > 1 else ""
            reason = f"The frame is blank{where}: it holds noise alone."
            return self._nothing(number, frame.radiographs[0].name, reason)
        step = self._registered(number, way, self._views(number, frame), found)
        return dataclasses.replace(step, name=frame.radiographs[0].name)

    def _registered(
        self, number: int, way: Way, views: tuple[View, ...], found: Sequence[Step]
    ) -> Step:
        if way == "start":
            return self._as_single_xray(number, views)
        if way == "search":
            return self._searched(number, views, found[0])
        return self._tracked(number, way, views, found)

    def _nothing(self, number: int, name: str, reason: str) -> Step:
        verdicts = (Verdict(status="fail", reasons=(reason,)),) * len(self.problem.bodies)
        return Step(frame=number, way="none", name=name, verdicts=verdicts)

    def _views(self, number: int, frame: Frame) -> tuple[View, ...]:
        """Return the views of a frame; they differ from those of all frames in their images."""
        template = self.problem
        rig = [view.camera_from_rig for view in template.views]
        cameras = [view.camera for view in template.views]
        check_alike(frame, number, template.views, any_camera=self.any_camera)
        try:
            views = asked_views(frame.radiographs, rig, cameras, frame.rois)
            return checked_rois(
                views, template.volume, template.render_labels, template.settings.method
            )
        except InputError as error:
            raise InputError(f"frame {number}: {error}") from error

    def _as_single_xray(self, number: int, views: tuple[View, ...]) -> Step:
        problem = dataclasses.replace(self.problem, views=views)
        result = registered(problem, lambda stage, done, total: None)
        evidence = evidence_from_record(result.config["evidence"])
        agreements = [view.gradient_agreement for view in evidence.views]
        state = torch.stack([body.camera_from_ct for body in result.bodies.values()])
        step = Step(
            frame=number,
            way="start",
            state=state,
            verdicts=tuple(body.verdict for body in result.bodies.values()),
            rightness=rightness_of(evidence, problem),
            lost=looks_wrong(agreements, evidence.steepness, problem.settings.trust),
            orientation=result.views[0].orientation,
        )
        level = middle(self._reading(views, state[None], step).plain)
        return dataclasses.replace(step, loss=float(losses_at(level, state[None])))

    def _tracked(
        self, number: int, way: Way, views: tuple[View, ...], found: Sequence[Step]
    ) -> Step:
        """Descend at the finest level from the last answer, or where it was going.

        Where that leads to nothing the level before it is asked first.
        """
        starts, nearest = starts_at(number, found), found[0]
        reading = self._reading(views, starts, nearest)
        before, losses = middle(reading.plain), losses_at(middle(reading.plain), starts)
        if _like(nearest, losses.min()):
            step = self._finest(number, way, reading, starts[losses.argmin()], nearest)
            if not step.lost:
                return step
        if len(before.bodies) < len(reading.problem.bodies):  # which are never put together again
            before = reading.plain[-1]
        state = _lowest(reading, before, starts[losses.argmin()][None])
        return self._finished(number, way, reading, state, nearest)

    def _searched(self, number: int, views: tuple[View, ...], nearest: Step) -> Step:
        """Look around the nearest answer as a search does around a view, in its orientation."""
        assert nearest.state is not None
        reading = self._reading(views, nearest.state[None], nearest)
        coarse = dataclasses.replace(reading, levels=reading.levels[:-1] or reading.levels)
        steps = []
        for led in (False, True) if have_regions(reading.levels) else (False,):
            starts = STARTS["search"](reading.problem, reading.ways(led=led)[0])
            answer = descended(coarse, starts, Clock(), led=led)
            state = with_bodies(answer.state, len(reading.problem.bodies))
            there = self._reading(views, state[None], nearest)  # which the CT covers otherwise
            steps.append(self._finished(number, "search", there, state, nearest))
            if not steps[-1].lost:
                break
        return best_of(steps)

    def _finished(
        self, number: int, way: Way, reading: Reading, state: Tensor, nearest: Step
    ) -> Step:
        """Return what a state of the level before the finest leads to, if it is worth the time."""
        if _like(nearest, losses_at(middle(reading.plain), state[None])):
            return self._finest(number, way, reading, state, nearest)
        return weighed(number, way, reading, state, nearest.orientation)

    def _finest(
        self, number: int, way: Way, reading: Reading, start: Tensor, nearest: Step
    ) -> Step:
        """Return what a descent at the finest level leads to."""
        level = remembering(reading.plain[-1])
        state = _lowest(reading, level, start[None])
        return weighed(number, way, reading, state, nearest.orientation, level)

    def _reading(self, views: tuple[View, ...], starts: Tensor, nearest: Step) -> Reading:
        """Return a frame read as the one beside it, with what the CT covers at the start."""
        mirrored = "mirrored" in nearest.orientation
        settings = self.problem.settings
        search = dataclasses.replace(
            settings.search, half_turned=False, mirrored=False, kept=3, finished=1
        )
        problem = dataclasses.replace(
            self.problem,
            views=tuple(mirrored_view(view) for view in views) if mirrored else views,
            start=starts[-1],
            init="search",
            settings=dataclasses.replace(
                settings,
                search=search,
                descent=dataclasses.replace(
                    settings.descent, max_iterations=MOST_STEPS, step_tolerance=STEP_TOLERANCE
                ),
            ),
        )
        problem = _in_better_polarity(_covered(problem), starts)
        return Reading(problem=problem, levels=make_levels(problem), mirrored=mirrored)


def _like(nearest: Step, loss: Tensor) -> bool:
    """Return whether a frame's loss [1] lets it be like the one beside it."""
    return not float(loss) > nearest.loss + UNLIKE


def _lowest(reading: Reading, level: Level, starts: Tensor) -> Tensor:
    """Return [K,4,4] where the best descent from starts [N,K,4,4] ends at a level."""
    descents = descents_from(reading.problem, level, starts)
    return descents.states[descents.values.argmin()]


def _covered(problem: Problem) -> Problem:
    """Return the problem without the pixels of which the CT at the start shows but a part."""
    if problem.bodies[0].part.kind == "alone":
        return problem
    views = [
        dataclasses.replace(view, covered=covered_pixels(problem, view, problem.start[0]))
        for view in problem.views
    ]
    return dataclasses.replace(problem, views=tuple(views))


def _in_better_polarity(problem: Problem, starts: Tensor) -> Problem:
    """Return the problem with each X-ray whose polarity is open in the one that fits better."""
    for number, view in enumerate(problem.views):
        image, other = view.radiograph.image, view.radiograph.opposite_polarity
        if other is None:
            continue
        opposite = dataclasses.replace(view.radiograph, image=other, opposite_polarity=image)
        views = list(problem.views)
        views[number] = dataclasses.replace(view, radiograph=opposite)
        turned = dataclasses.replace(problem, views=tuple(views))
        if _coarse_loss(turned, starts) < _coarse_loss(problem, starts):
            problem = turned
    return problem


def _coarse_loss(problem: Problem, starts: Tensor) -> float:
    """Return the lowest loss of states [N,K,4,4] at the coarsest level."""
    (level,) = make_levels(problem, 1)
    with torch.no_grad():
        return float(level.loss(with_bodies(starts, len(level.bodies))).min())
