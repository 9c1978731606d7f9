"""Whether bone is bright or dark in an X-ray, where nothing but the CT can tell."""

from __future__ import annotations

import dataclasses

import torch

from wsreg.registration.attempts import Attempt, starts_of
from wsreg.registration.clock import Clock
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.readings import readings_of
from wsreg.registration.regions import have_regions
from wsreg.registration.solver import solve
from wsreg.registration.strategy import Answer, descents_from, is_lost

POLARITY_STARTS = 8
"""How many descents decide between two readings of an X-ray's intensities."""


def with_polarity_settled(problem: Problem) -> tuple[Problem, str]:
    """Return the problem with every X-ray in the polarity that fits the CT, and what was done."""
    texts = []
    for number, view in enumerate(problem.views):
        opposite = view.radiograph.opposite_polarity
        if opposite is None or view.radiograph.polarity_sure:
            continue
        readings = [
            dataclasses.replace(view.radiograph, image=image, opposite_polarity=None)
            for image in (view.radiograph.image, opposite)
        ]
        problems = [
            dataclasses.replace(
                problem,
                views=(
                    *problem.views[:number],
                    dataclasses.replace(view, radiograph=reading),
                    *problem.views[number + 1 :],
                ),
            )
            for reading in readings
        ]
        as_read, turned = (_least_coarse_loss(one) for one in problems)
        problem = problems[turned < as_read]
        which = "opposite" if turned < as_read else "as read"
        where = f"{view.radiograph.name}: " if len(problem.views) > 1 else ""
        texts.append(f"{where}{which}, which fits the CT better")
    return problem, "; ".join(texts) or "as read"


def or_in_opposite_polarity(
    problem: Problem, answer: Answer, polarity: str, clock: Clock
) -> tuple[Answer, str]:
    """Return the better of an answer that is lost and one with the X-ray's polarity turned round.

    Only a single X-ray whose polarity nothing but the image told has an opposite one here.
    """
    opposite = _with_opposite_polarity(problem)
    if opposite is None or problem.render_labels or not is_lost(answer.reading, answer.state):
        return answer, polarity
    other = solve(opposite, make_levels(opposite), clock, lambda stage, done, total: None)
    with torch.no_grad():
        losses = [float(one.reading.plain[-1].loss(one.state[None])) for one in (answer, other)]
    if losses[1] < losses[0]:
        return other, "opposite, where nothing fitted as read"
    return answer, polarity


def _with_opposite_polarity(problem: Problem) -> Problem | None:
    """Return the problem with its X-ray in the opposite polarity; None where that is no question.

    It is none for several X-rays, and where a header or the user says what the polarity is.
    """
    view = problem.views[0]
    if len(problem.views) > 1 or view.radiograph.opposite_polarity is None:
        return None
    reading = dataclasses.replace(
        view.radiograph, image=view.radiograph.opposite_polarity, opposite_polarity=None
    )
    return dataclasses.replace(problem, views=(dataclasses.replace(view, radiograph=reading),))


def _least_coarse_loss(problem: Problem) -> float:
    """Return the lowest loss that starts reach, or have, by the images of either reading.

    They have it only where the terms are no least squares.  Regions may lead to the starts.
    """
    attempt, losses = Attempt(init=problem.init), []
    for reading in readings_of(problem, make_levels(problem, 1)):
        (level,) = reading.plain
        ways = (level, *reading.levels) if have_regions(reading.levels) else (level,)
        starts = [starts_of(attempt, reading.problem, way)[:POLARITY_STARTS] for way in ways]
        if level.least_squares:
            found = descents_from(reading.problem, level, torch.cat(starts)).values
        else:
            with torch.no_grad():
                found = level.loss(torch.cat(starts))
        losses.append(float(found.min()))
    return min(losses)
