"""From an answer to a result: the evidence, the verdict, the images behind them."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.geometry.views import nearest_view
from wsreg.registration.alone import found_alone, joined
from wsreg.registration.clock import Clock
from wsreg.registration.distances import fitted_distances
from wsreg.registration.judged import elsewhere_mm, rivals_as_judged
from wsreg.registration.landmark_doubts import landmark_doubts
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem, labels_of_bodies
from wsreg.registration.projection import RoiGrid, project
from wsreg.registration.readings import Reading, seen_from
from wsreg.registration.regions import weightless
from wsreg.registration.result import (
    BodyResult,
    Comparison,
    Orientation,
    RegistrationResult,
    Verdict,
    ViewResult,
)
from wsreg.registration.states import mean_distance_mm
from wsreg.registration.strategy import Answer
from wsreg.registration.trace import traced
from wsreg.registration.verdict.at_state import evidence_at, with_views_compared
from wsreg.registration.verdict.bodies import BodyEvidence, judge_body, shown_fraction
from wsreg.registration.verdict.evaluation import Evaluation, evaluate
from wsreg.registration.verdict.evidence import OTHER_SIDE, Evidence
from wsreg.registration.verdict.judge import judge
from wsreg.registration.verdict.steepness import middle, steepness
from wsreg.registration.verdict.uncertainty import Uncertainty, uncertainty_of


@dataclass(frozen=True, kw_only=True, eq=False)
class _Weighed:
    """An answer with all that is known of it: what is seen at start and end, how surely, and so on.

    ``shown`` is the fraction of each body that the views show.
    """

    answer: Answer
    start: Evaluation
    end: Evaluation
    uncertainty: Uncertainty
    shown: Sequence[float]
    evidence: Evidence


def conclude(
    answer: Answer, clock: Clock, polarity: str, *, alone: str | None = None
) -> RegistrationResult:
    """Keep the better of start and answer, weigh the evidence, and put the result together.

    Where several views do not agree each is asked alone, unless they were and ``alone`` is what
    follows; if what they find leads to a better answer of all, that is the one.
    """
    reading = answer.reading
    problem, trust = reading.problem, reading.problem.settings.trust
    by_descent = problem.settings.method == "gauss-newton"
    levels = weightless(reading.levels) if by_descent else reading.levels
    weighed = _weighed(answer, levels, alone or "")
    answer = weighed.answer
    evidence = dataclasses.replace(weighed.evidence, polarity=polarity)
    verdict = judge(evidence, trust)
    searchable = by_descent and not answer.start_kept and len(problem.views) > 1
    if verdict.status == "fail" and searchable and alone is None:
        found = found_alone(reading, clock)
        better = joined(found.states, answer, clock)
        if better is not None:
            return conclude(better, clock, polarity, alone=found.sentence)
        evidence = dataclasses.replace(evidence, alone=found.sentence)
    if verdict.status != "pass" and searchable and not evidence.parallel:
        evidence = _with_distances(reading, answer.state, evidence)
    weighed = dataclasses.replace(weighed, evidence=evidence)
    return _result(weighed, judge(evidence, trust), levels[-1], polarity, clock)


def _weighed(answer: Answer, levels: Sequence[Level], alone: str) -> _Weighed:
    problem, finest = answer.reading.problem, levels[-1]
    answer = dataclasses.replace(answer, rivals=rivals_as_judged(answer))
    answer, start, end = _better(problem, finest, answer)
    uncertainty = uncertainty_of(
        end.as_judged(), problem.views[0].camera_from_rig, problem.settings.trust.calibration
    )
    rise = steepness(middle(levels).as_judged(), answer.state)
    shown = [
        shown_fraction(problem, finest, body, pose)
        for body, pose in zip(problem.bodies, answer.state, strict=True)
    ]
    evidence = _evidence(problem, answer, start, end, rise, uncertainty, shown[0])
    evidence = dataclasses.replace(evidence, elsewhere_mm=elsewhere_mm(answer))
    evidence = _with_orientation(answer, evidence)
    if len(problem.views) > 1:
        evidence = dataclasses.replace(evidence, alone=alone)
        evidence = with_views_compared(problem, levels, answer.state, evidence)
    return _Weighed(
        answer=answer, start=start, end=end, uncertainty=uncertainty, shown=shown,
        evidence=evidence,
    )  # fmt: skip


def _result(
    weighed: _Weighed, verdict: Verdict, finest: Level, polarity: str, clock: Clock
) -> RegistrationResult:
    answer, evidence, problem = weighed.answer, weighed.evidence, weighed.answer.reading.problem
    state = answer.state
    bodies = _bodies(problem, state, weighed.shown, weighed.uncertainty, verdict)
    views = _views(problem, finest, state, weighed.start, weighed.end, evidence.orientation)
    clock.lap("verdict")
    trace = traced(problem, finest, state)
    if trace:
        clock.lap("trace")
    record = {**problem.record(), "polarity": polarity, "evidence": dataclasses.asdict(evidence)}
    first = next(iter(bodies.values()))
    return RegistrationResult(
        camera_from_ct=first.camera_from_ct,
        start_camera_from_ct=problem.views[0].camera_from_rig @ problem.start[0],
        camera=problem.views[0].camera,
        pivot_mm=first.pivot_mm,
        verdict=verdict,
        similarity_start=evidence.similarity_start,
        similarity_end=evidence.similarity_end,
        standard_deviation=first.standard_deviation,
        iterations=answer.iterations,
        renders=answer.renders,
        seconds=clock.stop(),
        backend=problem.backend,
        method=problem.settings.method,
        init=problem.init,
        bodies=bodies,
        views=views,
        config=record,
        trace=trace,
    )


def _better(
    problem: Problem, finest: Level, answer: Answer
) -> tuple[Answer, Evaluation, Evaluation]:
    """Return the answer, or the start if that is no worse, and what is seen at start and answer."""
    start = evaluate(finest, problem.start, derivatives=False)
    end = evaluate(finest, answer.state, derivatives=True)
    if end.loss < start.loss:
        return answer, start, end
    kept = dataclasses.replace(answer, state=problem.start)
    return kept, start, evaluate(finest, kept.state, derivatives=True)


def _evidence(
    problem: Problem,
    answer: Answer,
    start: Evaluation,
    end: Evaluation,
    rise: float,
    uncertainty: Uncertainty,
    shown: float,
) -> Evidence:
    points = problem.volume.corners_mm
    distances = [mean_distance_mm(end.state[:1], other[:1], points) for other in answer.rivals]
    return dataclasses.replace(
        evidence_at(problem, end, rise, uncertainty.of_depth(), shown),
        similarity_start=start.similarity,
        loss_start=start.loss,
        disagreement_mm=max(distances, default=0.0),
        rivals=len(distances),
        starts=answer.starts,
        depth_per_percent_mm=_finite(uncertainty.depth_per_percent_mm),
        doubts=(*problem.doubts, *landmark_doubts(problem, end.state)),
        start_kept=answer.start_kept,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _with_orientation(answer: Answer, evidence: Evidence) -> Evidence:
    """Return the evidence with how a single X-ray lies against the view asked for."""
    problem, mirrored = answer.reading.problem, answer.reading.mirrored
    if len(problem.views) > 1:
        return evidence
    seen = seen_from(problem.start[0], answer.state[0], mirrored=mirrored)
    if isinstance(problem.view, str) and problem.init == "search":
        shown = nearest_view(answer.state[0])
        other = "" if shown == problem.view.upper() else shown
    else:
        other = OTHER_SIDE if seen.opposite else ""
    return dataclasses.replace(
        evidence,
        orientation=seen.orientation,
        mirror_asked=problem.views[0].radiograph.mirrored,
        other_view=other,
        other_reading=answer.other_reading,
    )


def _with_distances(reading: Reading, state: Tensor, evidence: Evidence) -> Evidence:
    """Return the evidence with the distances that crossing views would clearly rather have."""
    found = fitted_distances(reading, state)
    if found is None or not found.clear:
        return evidence
    fitted = {
        view.radiograph.name: view.camera.source_to_detector_mm * float(fraction)
        for view, fraction in zip(reading.problem.views, found.fractions, strict=True)
    }
    return dataclasses.replace(evidence, fitted_distances_mm=fitted)


def _bodies(
    problem: Problem,
    state: Tensor,
    shown: Sequence[float],
    uncertainty: Uncertainty,
    verdict: Verdict,
) -> dict[str, BodyResult]:
    """Return every body where it is; the first has the verdict on the whole."""
    to_camera, parent = problem.views[0].camera_from_rig, problem.bodies[0]
    results = {}
    answers = problem.bodies[:1] if problem.render_labels else problem.bodies
    for number, body in enumerate(answers):
        deviation, of_image = uncertainty.of_body(number)
        evidence = BodyEvidence.of(body, state[0], state[number], of_image, shown[number])
        results[body.name] = BodyResult(
            labels=body.labels,
            camera_from_ct=to_camera @ state[number],
            pivot_mm=body.pivot_mm,
            standard_deviation=deviation,
            verdict=verdict
            if number == 0
            else judge_body(evidence, parent.name, verdict.status, problem.settings.trust),
            shown=shown[number],
        )
    return results


def _views(
    problem: Problem,
    finest: Level,
    state: Tensor,
    start: Evaluation,
    end: Evaluation,
    orientation: Orientation,
) -> tuple[ViewResult, ...]:
    results = []
    for number, (view, small) in enumerate(zip(problem.views, finest.views, strict=True)):
        shown = [evaluation.projections[number] for evaluation in (start, end)]
        before, after = (float(small.measure.similarity(seen.image)[0]) for seen in shown)
        rois, names = _outlines(problem, finest, state, number)
        results.append(
            ViewResult(
                name=view.radiograph.name,
                camera=view.camera,
                camera_from_rig=view.camera_from_rig,
                similarity_start=before,
                similarity_end=after,
                orientation=orientation,
                comparison=Comparison(
                    camera=small.camera,
                    fixed=small.fixed,
                    mask=small.mask,
                    moving_start=shown[0].image[0],
                    moving_end=shown[1].image[0],
                    rois_end=rois,
                    roi_names=names,
                ),
            )
        )
    return tuple(results)


def _outlines(
    problem: Problem, level: Level, state: Tensor, number: int
) -> tuple[Tensor, tuple[str, ...]]:
    """Return [R,H,W] path lengths of what is outlined in a view, and the names of it.

    That is the bodies if there are several, each at its own pose; else the regions given, or the
    labels rendered.  They are on the image's own grid, finer than that where regions are compared.
    """
    view, names, groups = level.views[number], *_outlined(problem, number)
    labels = labels_of_bodies(groups, problem.bodies, level.bodies)
    shown = [any(of_body[r] for of_body in labels) for r in range(len(groups))]
    if not any(shown):
        return torch.zeros((0, view.camera.rows, view.camera.columns)), ()
    grid = RoiGrid(
        camera=view.camera,
        bodies=level.bodies,
        labels=tuple(tuple(itertools.compress(of_body, shown)) for of_body in labels),
    )
    seen = project(
        level.bodies, view.camera, view.camera_from_rig, state[None],
        image=False, rois=grid, backend=level.backend,
    )  # fmt: skip
    return seen.roi_lengths_mm[0], tuple(itertools.compress(names, shown))


def _outlined(problem: Problem, number: int) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Return the names of what is outlined in a view, and the labels of each."""
    rois, bodies = problem.views[number].rois, problem.bodies
    if rois and rois.labels:
        return rois.names, rois.labels
    with_labels = [body for body in bodies if body.labels]
    if len(bodies) > 1 and not problem.render_labels:
        return tuple(b.name for b in with_labels), tuple(b.labels for b in with_labels)
    names = problem.volume.label_names
    alone: tuple[int, ...] = bodies[0].labels
    return tuple(names.get(label, str(label)) for label in alone), tuple((n,) for n in alone)
