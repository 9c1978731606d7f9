"""What the X-rays say of a state, whatever it was found from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from wsreg.geometry.rig import PARALLEL_DEG, angle_between_views_deg
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.verdict.bodies import body_points
from wsreg.registration.verdict.contradiction import moves_alone
from wsreg.registration.verdict.deviation import remaining_gain
from wsreg.registration.verdict.evaluation import Evaluation
from wsreg.registration.verdict.evidence import Evidence, ViewEvidence


def evidence_at(
    problem: Problem,
    end: Evaluation,
    steepness: float,
    depth_deviation_mm: Mapping[str, float],
    shown: float,
) -> Evidence:
    """Return the evidence of a state as if it had no start of its own, nor rivals.

    Args:
        problem: whose state it is.
        end: what is seen there.
        steepness, depth_deviation_mm, shown: as in :class:`Evidence`.
    """
    model = end.model()
    with_rois = any(view.rois is not None for view in problem.views)
    return Evidence(
        views=_view_evidence(problem, end),
        similarity_start=end.similarity,
        similarity_end=end.similarity,
        loss_start=math.inf,
        loss_end=end.loss,
        steepness=steepness,
        disagreement_mm=0.0,
        rivals=0,
        starts=0,
        depth_deviation_mm=depth_deviation_mm,
        remaining_gain=0.0 if model is None else remaining_gain(model),
        doubts=problem.doubts,
        shown=shown,
        roi_dice=end.roi_dice() if with_rois else None,
    )


def with_views_compared(
    problem: Problem, levels: Sequence[Level], state: Tensor, evidence: Evidence
) -> Evidence:
    """Return the evidence with what several views say of each other."""
    poses = [view.camera_from_rig for view in problem.views]
    angles = [angle_between_views_deg(poses[0], pose) for pose in poses[1:]]
    parallel = max(angles) < PARALLEL_DEG
    if not all(level.least_squares for level in levels[-2:]):
        return dataclasses.replace(evidence, parallel=parallel)
    longest = problem.settings.longest_step.vector(1)
    points, _ = body_points(problem, problem.bodies[0])
    moves = [move.beyond_noise_mm() for move in moves_alone(levels, state, longest, points)]
    worst = max(range(len(moves)), key=lambda number: (math.isnan(moves[number]), moves[number]))
    return dataclasses.replace(
        evidence,
        parallel=parallel,
        contradiction_mm=moves[worst],
        contradicting=problem.views[worst].radiograph.name,
    )


def _view_evidence(problem: Problem, end: Evaluation) -> tuple[ViewEvidence, ...]:
    return tuple(
        ViewEvidence(
            name=view.radiograph.name,
            similarity=similarity,
            gradient_agreement=agreement,
            overlap=overlap * view.coverage,
            coverage=view.coverage,
            masked=1.0 - float(view.radiograph.mask.float().mean()),
        )
        for view, similarity, agreement, overlap in zip(
            problem.views, end.similarities, end.gradient_agreements, end.overlaps, strict=True
        )
    )
