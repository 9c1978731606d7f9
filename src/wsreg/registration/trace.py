"""The way to an answer, step by step, as the finest level sees it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.recorder import SAME, Way
from wsreg.registration.states import with_bodies
from wsreg.registration.trace_step import TraceStage, TraceStep
from wsreg.registration.verdict.evaluation import evaluate


@dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """What the finest level shows of a state [K,4,4]."""

    state: Tensor
    loss: float
    similarity: float
    roi_dice: dict[str, float]
    moving: tuple[Tensor, ...]


def traced(problem: Problem, finest: Level, state: Tensor) -> tuple[TraceStep, ...]:
    """Return the steps to an answer [K,4,4]; none where no trace was asked for.

    They begin at the start that was asked for, even where the descent began elsewhere.

    Args:
        problem: whose recorder has seen the descents.
        finest: the level at which similarity and Dice are told.
        state: the answer.
    """
    if problem.recorder is None:
        return ()
    steps: list[TraceStep] = []
    seen = _seen(finest, problem.start)
    ways = problem.recorder.way_to(state)
    if not ways or not _same(ways[0].states[0], problem.start):
        steps.append(_alone(problem, finest, "start", seen))
    for way in ways:
        for number in range(len(way.states)):
            here = with_bodies(way.states[number], len(state))
            seen = seen if torch.equal(here, seen.state) else _seen(finest, here)
            steps.append(_step(problem, way, number, seen))
    if not torch.equal(seen.state, state):
        steps.append(_alone(problem, finest, "answer", _seen(finest, state)))
    return tuple(steps)


def stage_of(level: Level) -> TraceStage:
    """Return what is minimised at a level."""
    with_rois = any(view.roi_term is not None for view in level.views)
    with_image = any(term is not view.roi_term for view in level.views for term in view.terms)
    if with_rois:
        return "image and ROIs" if with_image else "ROIs"
    return "image"


def _seen(finest: Level, state: Tensor) -> _Seen:
    with torch.no_grad():
        evaluation = evaluate(finest, state, derivatives=False)
        return _Seen(
            state=state,
            loss=evaluation.loss,
            similarity=evaluation.similarity,
            roi_dice=evaluation.roi_dice(),
            moving=tuple(seen.image[0] for seen in evaluation.projections),
        )


def _step(problem: Problem, way: Way, number: int, seen: _Seen) -> TraceStep:
    return TraceStep(
        stage=stage_of(way.level),
        level=way.level.number + 1,
        iteration=number,
        accepted=bool(way.accepted[number]),
        camera_from_ct=_in_first_view(problem, seen.state),
        loss=float(way.values[number]),
        similarity=seen.similarity,
        damping=float(way.damping[number]),
        roi_dice=seen.roi_dice,
        moving=seen.moving,
    )


def _alone(problem: Problem, finest: Level, stage: TraceStage, seen: _Seen) -> TraceStep:
    """Return a state that belongs to no descent as a step."""
    return TraceStep(
        stage=stage,
        level=finest.number + 1,
        iteration=0,
        accepted=True,
        camera_from_ct=_in_first_view(problem, seen.state),
        loss=seen.loss,
        similarity=seen.similarity,
        damping=float("nan"),
        roi_dice=seen.roi_dice,
        moving=seen.moving,
    )


def _in_first_view(problem: Problem, state: Tensor) -> Tensor:
    """Return the poses of the bodies that are answers in the first view."""
    answers = 1 if problem.render_labels else len(problem.bodies)
    return problem.views[0].camera_from_rig @ state[:answers]


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two states are the same but for rounding, in the bodies that both have."""
    count = min(len(one), len(other))
    return torch.allclose(with_bodies(one, count), with_bodies(other, count), rtol=0.0, atol=SAME)
