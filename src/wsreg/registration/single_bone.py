"""One bone by itself, near where it is said to be; what lies around it hardly holds on to it.

A bone alone in air is like many places of an X-ray, and runs away.  So the rest of the CT is
rendered as well, at a pose of its own.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor

from wsreg.registration.clock import Clock
from wsreg.registration.readings import Reading
from wsreg.registration.starts.table import STARTS
from wsreg.registration.states import mean_distance_mm
from wsreg.registration.strategy import Answer, descended, is_lost, with_work
from wsreg.registration.verdict.bodies import body_points

REACH_MM = 40.0
"""How far from a given start a bone is looked for, a mean over its points in 3D."""


def near_its_start(answer: Answer, clock: Clock) -> Answer:
    """Return the answer; of a single bone that is lost, or far from its start, the start.

    All of the CT moves together at coarse levels.  Where a bone has moved against the rest that may
    lead it away, so it is then tried without them first.
    """
    reading, problem = answer.reading, answer.reading.problem
    if not (problem.render_labels and problem.init == "pose"):
        return answer
    reason = _astray(reading, answer.state)
    if not reason:
        return answer
    apart = [number for number, level in enumerate(reading.plain) if len(level.bodies) > 1]
    if problem.settings.method == "gauss-newton" and apart:
        starts = STARTS["pose"](problem, reading.plain[apart[0]])
        again = with_work(
            descended(reading, starts, clock, first=apart[0]), answer.iterations, answer.renders
        )
        if not _astray(again.reading, again.state):
            return again
        answer = again
    return dataclasses.replace(
        answer, state=problem.start, rivals=answer.rivals[:0], start_kept=reason
    )


def _astray(reading: Reading, state: Tensor) -> str:
    """Return what is wrong with a bone's pose, a sentence; empty if nothing is."""
    problem = reading.problem
    points, _ = body_points(problem, problem.bodies[0])
    away_mm = mean_distance_mm(problem.start[:1], state[:1], points)
    if away_mm > REACH_MM:
        return (
            f"The bone was not found within {REACH_MM:.0f} mm of its start, only {away_mm:.0f} mm "
            "away: the start is the answer."
        )
    if is_lost(reading, state):
        return "The bone was not found near its start: the start is the answer."
    return ""
