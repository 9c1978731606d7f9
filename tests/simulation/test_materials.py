"""Materials and beam against tabulated attenuation and Beer-Lambert's law by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from wsreg.simulation.materials import (
    ENERGY_WEIGHTS,
    MASS_ATTENUATION_CM2_PER_G,
    STEEL_MASS_ATTENUATION_CM2_PER_G,
    material_density,
    polyenergetic_transmission,
)


def _densities(hu: float) -> list[float]:
    return [material_density(torch.full((1, 1, 1), hu), material).item() for material in range(3)]


@pytest.mark.parametrize(
    ("hu", "expected"),
    [
        (-2048.0, (0.0, 0.0, 0.0)),
        (-1000.0, (0.0, 0.0, 0.0)),
        (-900.0, (0.0, 0.0, 0.0)),
        (-800.0, (0.2, 0.0, 0.0)),
        (-100.0, (0.9, 0.0, 0.0)),
        (0.0, (1.0, 0.0, 0.0)),
        (100.0, (1.1, 0.0, 0.0)),
        (850.0, (0.55, 0.96, 0.0)),
        (1600.0, (0.0, 1.92, 0.0)),
        (2750.0, (0.0, 0.96, 2.27)),
        (3071.0, (0.0, 0.0, 4.54)),
    ],
)
def test_density_of_each_material(hu: float, expected: tuple[float, ...]) -> None:
    assert _densities(hu) == pytest.approx(expected, abs=1e-6)


def test_whole_number_volumes_are_converted() -> None:
    hu = torch.tensor([[[-1000, 0, 1600]]], dtype=torch.int16)
    soft, bone, metal = (material_density(hu, material).ravel() for material in range(3))
    np.testing.assert_allclose(soft, [0.0, 1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(bone, [0.0, 0.0, 1.92], atol=1e-6)
    assert not metal.any()


def test_a_volume_may_say_what_air_is() -> None:
    lung = torch.full((1, 1, 1), -950.0)
    assert material_density(lung, 0).item() == 0.0
    assert material_density(lung, 0, air_hu=-1000.0).item() == pytest.approx(0.05)


def test_nothing_in_the_way_transmits_everything() -> None:
    clear = polyenergetic_transmission(np.zeros((3, 1), np.float32), np.zeros(1, np.float32))
    assert clear == pytest.approx(1.0)
    assert sum(ENERGY_WEIGHTS) == pytest.approx(1.0)


def test_transmission_is_beer_lambert_at_each_energy() -> None:
    tissue = np.array([[20.0], [3.0], [0.5]], dtype=np.float32)
    steel = np.array([0.8], dtype=np.float32)
    by_hand = sum(
        weight * math.exp(-20.0 * water - 3.0 * bone - 0.5 * titanium - 0.8 * iron)
        for weight, (water, bone, titanium), iron in zip(
            ENERGY_WEIGHTS,
            MASS_ATTENUATION_CM2_PER_G.T,
            STEEL_MASS_ATTENUATION_CM2_PER_G,
            strict=True,
        )
    )
    assert polyenergetic_transmission(tissue, steel)[0] == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("material", [0, 1, 2])
def test_beam_hardens(material: int) -> None:
    """Twice the material attenuates less than twice: the soft part of the beam is gone."""
    tissue = np.zeros((3, 2), dtype=np.float32)
    tissue[material] = (5.0, 10.0)
    one, two = -np.log(polyenergetic_transmission(tissue, np.zeros(2, np.float32)))
    assert one < two < 1.999 * one


def test_bone_attenuates_more_than_its_weight_in_water_and_steel_most() -> None:
    energies = range(len(ENERGY_WEIGHTS))
    water, bone, titanium = MASS_ATTENUATION_CM2_PER_G
    steel = STEEL_MASS_ATTENUATION_CM2_PER_G
    assert all(water[e] < bone[e] < titanium[e] < steel[e] for e in energies)
