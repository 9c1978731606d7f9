"""The verdict on a frame that was followed: the evidence of a single X-ray, as cheap as it goes.

Left out is what is the same for all frames (what the calibration leaves open) and what
neighbouring frames already answer (descents from other starts).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.readings import Reading
from wsreg.registration.regions import weightless
from wsreg.registration.result import Orientation, Verdict
from wsreg.registration.sequence.remembering import RememberingLevel
from wsreg.registration.sequence.step import Step, Way
from wsreg.registration.states import with_bodies
from wsreg.registration.verdict.at_state import evidence_at, with_views_compared
from wsreg.registration.verdict.bodies import BodyEvidence, judge_body, shown_fraction
from wsreg.registration.verdict.deviation import covariance
from wsreg.registration.verdict.evaluation import Evaluation, evaluate
from wsreg.registration.verdict.evidence import Evidence
from wsreg.registration.verdict.judge import judge, looks_wrong
from wsreg.registration.verdict.rightness import rightness
from wsreg.registration.verdict.steepness import image_losses, losses_beside, middle
from wsreg.registration.verdict.uncertainty import IMAGE


def weighed(
    frame: int,
    way: Way,
    reading: Reading,
    state: Tensor,
    orientation: Orientation,
    level: RememberingLevel | None = None,
) -> Step:
    """Return what a state [K,4,4] of a frame is worth.

    Args:
        frame, way, orientation: of the attempt.
        reading: of the frame.
        state: its answer.
        level: the finest one of images alone, if the state was found on it.
    """
    problem, levels = reading.problem, weightless(reading.levels)
    trust = problem.settings.trust
    with_rois = any(view.rois is not None for view in problem.views)
    if level is None or with_rois:
        end = evaluate(levels[-1], state, derivatives=True)
    else:
        end = level.evaluation(state)
    deviations = _deviations(end)
    shown = [
        shown_fraction(problem, levels[-1], body, pose)
        for body, pose in zip(problem.bodies, state, strict=True)
    ]
    losses = losses_beside(middle(levels), state)
    rise = float((losses[1:] - losses[0]).min())
    evidence = evidence_at(problem, end, rise, {IMAGE: float(deviations[5])}, shown[0])
    evidence = _with_what_frames_share(evidence, orientation)
    if len(problem.views) > 1:
        evidence = with_views_compared(problem, levels, state, evidence)
    return Step(
        frame=frame,
        way=way,
        state=state,
        verdicts=_verdicts(problem, state, evidence, deviations, shown),
        rightness=rightness_of(evidence, problem),
        loss=float(losses[0]),
        lost=looks_wrong(end.gradient_agreements, evidence.steepness, trust),
        orientation=orientation,
    )


def losses_at(level: Level, states: Tensor) -> Tensor:
    """Return [N] the images' losses of states [N,K,4,4] at a level, which may have one body."""
    return image_losses(level, with_bodies(states, len(level.bodies)))


def rightness_of(evidence: Evidence, problem: Problem) -> float:
    """Return the probability that the first body's pose is right, by the view that doubts most."""
    weights = problem.settings.trust.weights
    each = [
        rightness(view.gradient_agreement, evidence.steepness, weights) for view in evidence.views
    ]
    return min((value for value in each if value == value), default=0.0)


def _deviations(end: Evaluation) -> Tensor:
    """Return [6K] float64 standard deviations by the image's noise (rad, mm); NaN if not known."""
    model = end.image_model()
    if model is None:
        return torch.full((6 * len(end.level.bodies),), torch.nan, dtype=torch.float64)
    valid_pixels = sum(float(view.mask.sum()) for view in end.level.views)
    return covariance(model, valid_pixels).diagonal().clamp_min(0.0).sqrt()


def _with_what_frames_share(evidence: Evidence, orientation: Orientation) -> Evidence:
    """Return the evidence with how all frames lie; turns are told of the first one only."""
    if "mirrored" not in orientation:
        return evidence
    return dataclasses.replace(evidence, orientation=orientation)


def _verdicts(
    problem: Problem, state: Tensor, evidence: Evidence, deviations: Tensor, shown: list[float]
) -> tuple[Verdict, ...]:
    """Return the verdict on every body; one that passes says how alike the images are."""
    trust, first = problem.settings.trust, problem.bodies[0]
    verdict = judge(evidence, trust)
    if verdict.status == "pass":
        alike = f"The similarity is {evidence.similarity_end:.3f}."
        verdict = Verdict(status="pass", reasons=(alike,))
    verdicts = [verdict]
    for number, body in list(enumerate(problem.bodies))[1:]:
        own = deviations[6 * number : 6 * number + 6]
        found = BodyEvidence.of(body, state[0], state[number], own, shown[number])
        verdicts.append(judge_body(found, first.name, verdict.status, trust))
    return tuple(verdicts)
