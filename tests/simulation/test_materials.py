"""Materials and beam against tabulated attenuation and Beer-Lambert's law by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wsreg.simulation.materials import (
    ENERGIES_KEV,
    ENERGY_WEIGHTS,
    MASS_ATTENUATION_CM2_PER_G,
    MATERIALS,
    polyenergetic_transmission,
)


def test_nothing_in_the_way_transmits_everything() -> None:
    clear = polyenergetic_transmission(np.zeros((1, len(MATERIALS)), np.float32))
    assert clear == pytest.approx(1.0)
    assert sum(ENERGY_WEIGHTS) == pytest.approx(1.0)


def test_transmission_is_beer_lambert_at_each_energy() -> None:
    density = np.array([[20.0, 2.0, 3.0, 0.5, 0.8]], dtype=np.float32)
    by_hand = sum(
        weight * math.exp(-20.0 * water - 2.0 * fat - 3.0 * bone - 0.5 * titanium - 0.8 * iron)
        for weight, (water, fat, bone, titanium, iron) in zip(
            ENERGY_WEIGHTS, MASS_ATTENUATION_CM2_PER_G.T, strict=True
        )
    )
    assert polyenergetic_transmission(density)[0] == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("material", range(len(MATERIALS)))
def test_beam_hardens(material: int) -> None:
    """Twice the material attenuates less than twice: the soft part of the beam is gone."""
    density = np.zeros((2, len(MATERIALS)), dtype=np.float32)
    density[:, material] = (5.0, 10.0)
    one, two = -np.log(polyenergetic_transmission(density))
    assert one < two < 1.999 * one


def test_fat_attenuates_least_and_metal_most() -> None:
    for energy in range(len(ENERGIES_KEV)):
        water, fat, bone, titanium, steel = MASS_ATTENUATION_CM2_PER_G[:, energy]
        assert fat < water < bone < titanium < steel
