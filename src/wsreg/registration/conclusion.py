"""From an answer to a result: the evidence, the verdict, the images behind them."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wsreg.registration.objective import Level, rendered
from wsreg.registration.problem import Problem
from wsreg.registration.result import Comparison, RegistrationResult
from wsreg.registration.search import mean_distance_mm
from wsreg.registration.solving import Answer, Clock
from wsreg.registration.trust import (
    Evidence,
    judge,
    regional_similarity,
    remaining_gain,
    standard_deviation,
)
from wsreg.rendering.render import render
from wsreg.similarity.multiscale_ncc import multiscale_loss


def conclude(
    problem: Problem, levels: list[Level], answer: Answer, clock: Clock, polarity: str
) -> RegistrationResult:
    """Keep the better of start and answer, weigh the evidence, and put the result together."""
    finest, start, pose = levels[-1], problem.start, answer.camera_from_ct
    with torch.no_grad():
        before, after = finest.loss(torch.stack((start, pose)))
    if not bool(after < before):
        pose = start
    moving_start, moving_end = rendered(finest, start), rendered(finest, pose)
    here = finest.linearize_image(pose[None])[0]
    deviation = standard_deviation(here, int(finest.mask.sum()))
    distances = [mean_distance_mm(pose, o, problem.volume.corners_mm) for o in answer.rivals]
    evidence = Evidence(
        similarity_start=1.0 - float(multiscale_loss(finest.similarity, moving_start[None])[0]),
        similarity_end=1.0 - float(here.value),
        regional_similarity=regional_similarity(finest.fixed, finest.mask, moving_end),
        disagreement_mm=max(distances, default=0.0),
        rivals=len(distances),
        starts=answer.starts,
        depth_deviation_mm=float(deviation[5]),
        remaining_gain=remaining_gain(finest.linearize(pose[None])[0] if finest.rois else here),
        overlap=float((moving_end > 0)[finest.mask].float().mean()) if finest.mask.any() else 0.0,
        masked=1.0 - float(problem.radiograph.mask.float().mean()),
        roi_dice=None if problem.rois is None else roi_dice(finest, pose),
    )
    verdict = judge(evidence, problem.settings.trust)
    comparison = Comparison(
        camera=finest.camera,
        fixed=finest.fixed,
        mask=finest.mask,
        moving_start=moving_start,
        moving_end=moving_end,
        rois_end=_outlines(problem, finest, pose),
    )
    clock.lap("verdict")
    return RegistrationResult(
        camera_from_ct=pose,
        start_camera_from_ct=start,
        camera=problem.camera,
        pivot_mm=problem.pivot_mm,
        verdict=verdict,
        similarity_start=evidence.similarity_start,
        similarity_end=evidence.similarity_end,
        standard_deviation=deviation,
        iterations=answer.iterations,
        renders=answer.renders,
        seconds=clock.stop(),
        backend=problem.backend,
        method=problem.settings.method,
        init=problem.kind,
        config={
            **problem.record(),
            "polarity": polarity,
            "evidence": dataclasses.asdict(evidence),
        },
        comparison=comparison,
    )


def roi_dice(level: Level, camera_from_ct: Tensor) -> dict[str, float]:
    """Dice of each region that takes part at a pose [4,4], by name; empty if none does."""
    if level.rois is None:
        return {}
    with torch.no_grad():
        pose = camera_from_ct.detach()[None]
        values = level.rois.dice(level.rois.masks(pose, level.image(pose)))[0]
    return dict(zip(level.rois.names, values.tolist(), strict=True))


def _outlines(problem: Problem, level: Level, pose: Tensor) -> Tensor:
    """[R,H,W] path lengths of the regions, or else of the labels rendered, as far as known."""
    groups = problem.rois.labels if problem.rois else tuple((one,) for one in problem.labels)
    known = set(level.volume.label_values)
    shown = [here for group in groups if (here := [label for label in group if label in known])]
    if not shown:
        return torch.zeros((0, level.camera.rows, level.camera.columns))
    return render(level.volume, level.camera, pose, rois=shown, backend=level.backend)[0, 1:]
