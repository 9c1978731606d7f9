"""How probable it is that an answer is right, by what can be seen of it."""

from __future__ import annotations

import math

from wsreg.registration.verdict.config import RightnessWeights

LEAST = 1e-4
"""Disagreement and steepness count no further than this: the rounding of float32 is below."""


def rightness(gradient_agreement: float, steepness: float, weights: RightnessWeights) -> float:
    """Return the probability of a right answer if right and wrong ones were equally frequent.

    Args:
        gradient_agreement: of a view, from -1 to 1.
        steepness: of the loss about the answer.
        weights: see there.

    Returns:
        From 0 to 1; NaN if one of the two is not known.
    """
    if math.isnan(gradient_agreement + steepness):
        return math.nan
    odds = (
        weights.offset
        - weights.agreement * math.log10(max(1.0 - gradient_agreement, LEAST))
        + weights.steepness * math.log10(max(steepness, LEAST))
    )
    return 1.0 / (1.0 + math.exp(-odds))
