"""What the default measure says of an answer that another one found; the verdict goes by it."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.registration.states import mean_distance_mm
from wsreg.registration.strategy import RIVAL_RATIO, Answer, descents_from
from wsreg.registration.verdict.bodies import body_points

STEPS = 12
"""Of the descent by the default measure: enough to tell whether it stays."""


def by_another_measure(answer: Answer) -> bool:
    """Return whether an answer was not found by the measure that the verdict goes by."""
    return any(view.judge is not None for view in answer.reading.plain[-1].views)


def rivals_as_judged(answer: Answer) -> Tensor:
    """Return those rivals [N,K,4,4] of an answer that rival it by the measure of the verdict, too.

    How much more than another one a loss is means something else for every measure.
    """
    if not len(answer.rivals) or not by_another_measure(answer):
        return answer.rivals
    judged = answer.reading.plain[-1].as_judged()
    with torch.no_grad():
        own, *others = judged.loss(torch.cat((answer.state[None], answer.rivals)))
        near = torch.stack(others) < RIVAL_RATIO * own
    return answer.rivals[near]


def elsewhere_mm(answer: Answer) -> float | None:
    """Return how far away the measure of the verdict would have the first body.

    It is a mean over the body's points in 3D, of where that measure leads from the answer at the
    finest level; None where it found the answer.
    """
    if not by_another_measure(answer):
        return None
    problem, level = answer.reading.problem, answer.reading.plain[-1].as_judged()
    found = descents_from(problem, level, answer.state[None], STEPS)
    points, _ = body_points(problem, problem.bodies[0])
    return mean_distance_mm(answer.state[:1], found.states[0, :1], points)
