"""Several X-rays that fit no pose together: what each finds by itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.registration.clock import Clock
from wsreg.registration.problem import Problem
from wsreg.registration.readings import Reading
from wsreg.registration.solver import solve
from wsreg.registration.states import mean_distance_mm
from wsreg.registration.strategy import RIVAL_RATIO, Answer, descended, is_lost
from wsreg.registration.verdict.contradiction import alone

APART_MM = 5.0
"""Poses that single views find may differ by so much, mostly in depth."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundAlone:
    """What X-rays find that are registered one by one.

    Args:
        states: [N,K,4,4] of the N views that fit the CT.
        sentence: what follows for the rig; empty if nothing does.
    """

    states: Tensor
    sentence: str


def found_alone(reading: Reading, clock: Clock) -> FoundAlone:
    """Return what each X-ray finds alone; it takes as long as a search for each."""
    problem, levels = reading.problem, reading.levels
    states: list[Tensor] = []
    fitting: list[str] = []
    others: list[str] = []
    # A rig says how its images lie; a mirrored one would be in no common frame with the others.
    search = dataclasses.replace(problem.settings.search, mirrored=False)
    settings = dataclasses.replace(problem.settings, search=search)
    for number, view in enumerate(problem.views):
        asked = dataclasses.replace(problem, views=(view,), init="search", settings=settings)
        own = [alone(level, number) for level in levels]
        answer = solve(asked, own, clock, lambda stage, done, total: None)
        state, lost = answer.state, is_lost(answer.reading, answer.state)
        (others if lost else fitting).append(view.radiograph.name)
        states += [] if lost else [state]
    found = torch.stack(states) if states else problem.start[None][:0]
    return FoundAlone(states=found, sentence=_sentence(problem, found, fitting, others))


def _sentence(problem: Problem, states: Tensor, fitting: list[str], others: list[str]) -> str:
    if not fitting:
        return ""
    if others:
        return (
            f"Alone {' and '.join(fitting)} {'fits' if len(fitting) == 1 else 'fit'} the CT, "
            f"and {' and '.join(others)} {'does' if len(others) == 1 else 'do'} not."
        )
    points = problem.volume.corners_mm
    apart = max(mean_distance_mm(states[0][:1], state[:1], points) for state in states[1:])
    if apart < APART_MM:
        return ""
    return (
        f"Alone each X-ray fits the CT, but {apart:.0f} mm apart: the rig does not hold, or the "
        "patient has moved between them."
    )


def joined(states: Tensor, before: Answer, clock: Clock) -> Answer | None:
    """Return the best joint answer from what single views found, if it fits better than another.

    Args:
        states: [N,K,4,4] of single views.
        before: the answer of all views to be bettered; it and its rivals are rivals of the one
            returned, where they fit nearly as well, and their steps and starts count.
        clock: of the registration.
    """
    if not len(states):
        return None
    last = len(before.reading.levels) - 1
    answer = descended(before.reading, states, clock, first=max(0, last - 1))
    others = torch.cat((before.state[None], before.rivals))
    with torch.no_grad():
        finest = before.reading.plain[-1]
        own, *losses = finest.loss(torch.cat((answer.state[None], others))).tolist()
    if not own < losses[0]:
        return None
    near = torch.tensor([loss < RIVAL_RATIO * own for loss in losses])
    return dataclasses.replace(
        answer,
        iterations=before.iterations + answer.iterations,
        renders=before.renders + answer.renders,
        rivals=torch.cat((answer.rivals, others[near])),
        starts=before.starts + 1 + answer.starts,
    )
