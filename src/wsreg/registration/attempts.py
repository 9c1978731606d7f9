"""What is tried, one after the other, and where each attempt begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.radiographs.patient_view import quarter_turns
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.starts.table import STARTS

QUARTER = torch.tensor(
    [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64
)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One way to find an answer.

    Args:
        init: the name of the start.
        led: whether regions of interest lead.
        quarter: whether the image is looked at turned by a quarter.
        wide: whether a search looks farther around.
    """

    init: str
    led: bool = False
    quarter: bool = False
    wide: bool = False


def attempts(problem: Problem, ways: Sequence[bool]) -> list[Attempt]:
    """Return what is tried, in this order.

    Args:
        problem: of the start.
        ways: whether regions of interest lead, for each way to try it.
    """
    tried = [Attempt(init=problem.init, led=led) for led in ways]
    if problem.render_labels and problem.init == "pose":
        return tried  # a single bone is looked for near a given start only
    if not problem.settings.search_if_lost and problem.init != "search":
        return tried
    if problem.init != "search":
        tried += [Attempt(init="search", led=led) for led in sorted(ways)]
    return [*tried, Attempt(init="search", wide=True), Attempt(init="search", quarter=True)]


def starts_of(attempt: Attempt, problem: Problem, level: Level) -> Tensor:
    """Return the states [N,K,4,4] of an attempt, of the image turned as it and the header say."""
    asked = dataclasses.replace(problem, start=_turn(attempt, problem) @ problem.start)
    if attempt.wide:
        settings = dataclasses.replace(problem.settings, search=problem.settings.search.wider())
        asked = dataclasses.replace(asked, settings=settings)
    return STARTS[attempt.init](asked, level)


def _turn(attempt: Attempt, problem: Problem) -> Tensor:
    """Return [4,4] how an attempt turns the image, with what the header says of how it lies."""
    quarters = int(attempt.quarter)
    if attempt.init in ("search", "dicom", "encoder", "roi", "landmarks"):
        directions = problem.views[0].radiograph.patient_orientation
        quarters += quarter_turns(directions, problem.start[0].numpy())
    turn: Tensor = torch.linalg.matrix_power(QUARTER, quarters % 4)
    return turn
