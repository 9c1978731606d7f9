"""Several X-rays that fit no pose together: what each finds by itself."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from wsreg.registration.clock import Clock
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.states import mean_distance_mm
from wsreg.registration.strategy import is_lost, solve
from wsreg.registration.verdict.contradiction import alone

APART_MM = 5.0
"""Poses that single views find may differ by so much, mostly in depth."""


def found_alone(problem: Problem, levels: list[Level], clock: Clock) -> str:
    """Return what X-rays find that are registered one by one, as a sentence; empty if nothing.

    It takes as long as a search for each.
    """
    found: dict[str, Tensor] = {}
    for number, view in enumerate(problem.views):
        asked = dataclasses.replace(problem, views=(view,), init="search")
        own = [alone(level, number) for level in levels]
        state = solve(asked, own, clock, lambda stage, done, total: None).state
        if not is_lost(asked, own, state):
            found[view.radiograph.name] = state
    others = [v.radiograph.name for v in problem.views if v.radiograph.name not in found]
    if not found:
        return ""
    if others:
        fits, does = "fits" if len(found) == 1 else "fit", "does" if len(others) == 1 else "do"
        return f"Alone {' and '.join(found)} {fits} the CT, and {' and '.join(others)} {does} not."
    states = list(found.values())
    points = problem.volume.corners_mm
    apart = max(mean_distance_mm(states[0][:1], state[:1], points) for state in states[1:])
    if apart < APART_MM:
        return ""
    return (
        f"Alone each X-ray fits the CT, but {apart:.0f} mm apart: the rig does not hold, or the "
        "patient has moved between them."
    )
