"""Signed pixels that are called transmission have their zero elsewhere."""

from __future__ import annotations

import math

import pytest
import torch

from wsreg.radiographs.intensity import offset_notes, to_attenuation

INTEGRAL = torch.linspace(0.0, 4.0, 2000).reshape(40, 50)
BEAM = 9000 * torch.exp(-INTEGRAL)
FIELD = torch.ones_like(BEAM, dtype=torch.bool)


@pytest.mark.parametrize("zero", [1200.0, 32768.0])
def test_it_is_brought_above_zero(zero: float) -> None:
    attenuation = to_attenuation(BEAM - zero, FIELD, "transmission")
    assert bool((attenuation.flatten().diff() >= 0).all())
    assert float(attenuation.max()) == pytest.approx(math.log(101), rel=1e-2)
    assert len(attenuation.unique()) > 1900  # nothing saturates
    # the lowest, 9000 exp(-4) = 165, becomes 1 % of the range up to about 9000
    (note,) = offset_notes(BEAM - zero, FIELD, "transmission")
    said, number = note.split(" was added")[0].split(" and yet negative; ")
    assert said == "Warning: pixel values are transmission"
    assert float(number) == pytest.approx(zero - 165 + 88, abs=3)
    assert "the lowest is just above 0" in note


def test_positive_values_and_noise_about_zero_are_left_alone() -> None:
    noise = BEAM.clone()
    noise[-1, -10:] = -3.0
    for pixels in (BEAM, noise):
        assert offset_notes(pixels, FIELD, "transmission") == []
        torch.testing.assert_close(
            to_attenuation(pixels, FIELD, "transmission")[:-1], INTEGRAL[:-1], atol=5e-3, rtol=0
        )
    assert offset_notes(BEAM - 5000, FIELD, "attenuation") == []
