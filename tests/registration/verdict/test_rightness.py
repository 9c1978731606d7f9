"""How probable a right answer is."""

from __future__ import annotations

import math

import pytest

from wsreg.registration.verdict.config import RightnessWeights
from wsreg.registration.verdict.rightness import LEAST, rightness

PLAIN = RightnessWeights(agreement=1.0, steepness=1.0, offset=0.0)


def test_by_hand() -> None:
    """Two nines of agreement and a rise of a hundredth cancel out; ten times of either are e."""
    assert rightness(0.99, 0.01, PLAIN) == pytest.approx(0.5)
    assert rightness(0.999, 0.01, PLAIN) == pytest.approx(math.e / (1.0 + math.e))
    assert rightness(0.99, 0.1, PLAIN) == pytest.approx(math.e / (1.0 + math.e))
    assert rightness(0.99, 0.01, RightnessWeights(agreement=1.0, steepness=1.0, offset=1.0)) == (
        pytest.approx(math.e / (1.0 + math.e))
    )


def test_agreement_and_steepness_speak_for_an_answer() -> None:
    weights = RightnessWeights()
    assert rightness(0.99, 5e-3, weights) > 0.98
    assert rightness(0.94, 5e-4, weights) < 0.1
    assert rightness(0.97, 5e-3, weights) > rightness(0.97, 5e-4, weights) > 0.0


def test_a_perfect_match_and_no_match_have_a_probability() -> None:
    assert rightness(1.0, 0.01, PLAIN) == rightness(1.0 - LEAST, 0.01, PLAIN)
    assert rightness(0.99, -0.3, PLAIN) == rightness(0.99, 0.0, PLAIN)
    assert 0.0 < rightness(-1.0, -1.0, RightnessWeights()) < 1e-5


def test_what_is_not_known_has_none() -> None:
    assert math.isnan(rightness(math.nan, 0.01, PLAIN))
    assert math.isnan(rightness(0.99, math.nan, PLAIN))
