from __future__ import annotations

import dataclasses
import math

import pytest

from wsreg.errors import InputError
from wsreg.training.config import FitConfig, learning_rate


def test_the_rate_warms_up_and_falls_as_a_cosine() -> None:
    config = FitConfig(steps=100, learning_rate=1.0)
    assert learning_rate(config, 0) == pytest.approx(0.2)
    assert learning_rate(config, 5) == pytest.approx(1.0)
    assert learning_rate(config, 5 + 95 // 2) == pytest.approx(0.5, abs=0.01)
    assert learning_rate(config, 99) < 0.01
    assert learning_rate(dataclasses.replace(config, schedule="constant"), 99) == 1.0


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf])
def test_a_rate_that_cannot_be(rate: float) -> None:
    with pytest.raises(InputError, match="learning_rate must be finite and at least 0, got"):
        FitConfig(learning_rate=rate)


@pytest.mark.parametrize("name", ["batch", "steps", "save_every"])
def test_counts_are_at_least_1(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be at least 1, got 0"):
        dataclasses.replace(FitConfig(), **{name: 0})  # type: ignore[arg-type]
