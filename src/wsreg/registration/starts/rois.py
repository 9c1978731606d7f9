"""Regions of interest bring poses near before the image is looked at."""

from __future__ import annotations

from torch import Tensor

from wsreg.optimisation.levenberg_marquardt import minimise
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem


def brought_near(problem: Problem, level: Level, states: Tensor) -> Tensor | None:
    """Return the states [N,K,4,4] after descents on rendered regions alone, best first.

    It is None where no rendered region takes part.
    """
    settings = problem.settings
    regions = level.with_rois_alone(settings.roi_approach)
    if regions is None:
        return None
    longest = settings.longest_step.vector(len(level.bodies))
    descents = minimise(
        regions.linearize, regions.move, states, longest, settings.descent,
        observe=problem.observer(regions),
    )  # fmt: skip
    return descents.states[descents.values.argsort()]
