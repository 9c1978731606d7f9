"""From an answer to a result: the evidence, the verdict, the images behind them."""

from __future__ import annotations

import dataclasses
import itertools

import torch
from torch import Tensor

from wsreg.registration.clock import Clock
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem, labels_of_bodies
from wsreg.registration.projection import RoiGrid, project
from wsreg.registration.result import Comparison, RegistrationResult
from wsreg.registration.states import mean_distance_mm
from wsreg.registration.strategy import Answer
from wsreg.registration.verdict.deviation import remaining_gain
from wsreg.registration.verdict.evaluation import Evaluation, evaluate
from wsreg.registration.verdict.evidence import Evidence, ViewEvidence
from wsreg.registration.verdict.judge import judge
from wsreg.registration.verdict.steepness import middle, steepness
from wsreg.registration.verdict.uncertainty import Uncertainty, uncertainty_of


def conclude(
    problem: Problem, levels: list[Level], answer: Answer, clock: Clock, polarity: str
) -> RegistrationResult:
    """Keep the better of start and answer, weigh the evidence, and put the result together."""
    finest, tolerance = levels[-1], problem.settings.trust.calibration
    start = evaluate(finest, problem.start, derivatives=False)
    end, state = evaluate(finest, answer.state, derivatives=True), answer.state
    if not end.loss < start.loss:
        state = problem.start
        end = evaluate(finest, state, derivatives=True)
    uncertainty = uncertainty_of(end, problem.views[0].camera_from_rig, tolerance)
    rise = steepness(middle(levels), state)
    evidence = _evidence(problem, answer, start, end, rise, uncertainty)
    verdict = judge(evidence, problem.settings.trust)
    comparison = _comparison(problem, finest, state, start, end)
    clock.lap("verdict")
    to_camera = problem.views[0].camera_from_rig
    return RegistrationResult(
        camera_from_ct=to_camera @ state[0],
        start_camera_from_ct=to_camera @ problem.start[0],
        camera=problem.views[0].camera,
        pivot_mm=problem.bodies[0].pivot_mm,
        verdict=verdict,
        similarity_start=evidence.similarity_start,
        similarity_end=evidence.similarity_end,
        standard_deviation=uncertainty.total[:6],
        iterations=answer.iterations,
        renders=answer.renders,
        seconds=clock.stop(),
        backend=problem.backend,
        method=problem.settings.method,
        init=problem.init,
        config={
            **problem.record(),
            "polarity": polarity,
            "evidence": dataclasses.asdict(evidence),
        },
        comparison=comparison,
    )


def _evidence(
    problem: Problem,
    answer: Answer,
    start: Evaluation,
    end: Evaluation,
    rise: float,
    uncertainty: Uncertainty,
) -> Evidence:
    points = problem.volume.corners_mm
    distances = [mean_distance_mm(end.state, other, points) for other in answer.rivals]
    model = end.model()
    with_rois = any(view.rois is not None for view in problem.views)
    return Evidence(
        views=_view_evidence(problem, end),
        similarity_start=start.similarity,
        similarity_end=end.similarity,
        loss_start=start.loss,
        loss_end=end.loss,
        steepness=rise,
        disagreement_mm=max(distances, default=0.0),
        rivals=len(distances),
        starts=answer.starts,
        depth_deviation_mm=uncertainty.of_depth(),
        remaining_gain=0.0 if model is None else remaining_gain(model),
        roi_dice=end.roi_dice() if with_rois else None,
    )


def _view_evidence(problem: Problem, end: Evaluation) -> tuple[ViewEvidence, ...]:
    return tuple(
        ViewEvidence(
            name=view.radiograph.name,
            similarity=similarity,
            gradient_agreement=agreement,
            overlap=overlap,
            masked=1.0 - float(view.radiograph.mask.float().mean()),
        )
        for view, similarity, agreement, overlap in zip(
            problem.views, end.similarities, end.gradient_agreements, end.overlaps, strict=True
        )
    )


def _comparison(
    problem: Problem, finest: Level, state: Tensor, start: Evaluation, end: Evaluation
) -> Comparison:
    view = finest.views[0]
    return Comparison(
        camera=view.camera,
        fixed=view.fixed,
        mask=view.mask,
        moving_start=start.projections[0].image[0],
        moving_end=end.projections[0].image[0],
        rois_end=_outlines(problem, finest, state),
    )


def _outlines(problem: Problem, level: Level, state: Tensor) -> Tensor:
    """Return [R,H,W] path lengths of the regions, or else of the labels rendered, if known.

    They are those of the first view, each body at its own pose, on the image's own grid: finer
    than the one on which regions are compared.
    """
    view, rois = level.views[0], problem.views[0].rois
    everything = [(label,) for body in problem.bodies for label in body.labels]
    groups = rois.labels if rois else everything
    labels = labels_of_bodies(groups, problem.bodies, level.bodies)
    shown = [any(of_body[r] for of_body in labels) for r in range(len(groups))]
    if not any(shown):
        return torch.zeros((0, view.camera.rows, view.camera.columns))
    grid = RoiGrid(
        camera=view.camera,
        bodies=level.bodies,
        labels=tuple(tuple(itertools.compress(of_body, shown)) for of_body in labels),
    )
    seen = project(
        level.bodies, view.camera, view.camera_from_rig, state[None],
        image=False, rois=grid, backend=level.backend,
    )  # fmt: skip
    return seen.roi_lengths_mm[0]
