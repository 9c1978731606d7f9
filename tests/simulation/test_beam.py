"""The beam against Beer-Lambert's law by hand, and its table against what spectra do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.simulation.beam import (
    FILTRATIONS,
    Filtration,
    energy_weights,
    polyenergetic_transmission,
)
from wsreg.simulation.materials import ENERGIES_KEV, MASS_ATTENUATION_CM2_PER_G, MATERIALS

WEIGHTS = energy_weights(90.0, "4Al+0.1Cu")


def _mean_kev(tube_voltage_kv: float, filtration: Filtration) -> float:
    return float(energy_weights(tube_voltage_kv, filtration) @ ENERGIES_KEV)


@pytest.mark.parametrize("filtration", FILTRATIONS)
@pytest.mark.parametrize("tube_voltage_kv", [60.0, 73.0, 110.0])
def test_weights_are_fractions_and_end_at_the_tube_voltage(
    filtration: Filtration, tube_voltage_kv: float
) -> None:
    weights = energy_weights(tube_voltage_kv, filtration)
    assert weights.shape == (len(ENERGIES_KEV),)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.min() >= 0.0
    beyond = np.array(ENERGIES_KEV) >= 10.0 * math.ceil(tube_voltage_kv / 10.0) + 5.0
    assert not weights[beyond].any()


def test_voltage_and_filtration_harden_the_beam() -> None:
    energies = [_mean_kev(kv, "4Al+0.1Cu") for kv in (60.0, 75.0, 90.0, 110.0)]
    assert energies == sorted(energies)
    energies = [_mean_kev(90.0, filtration) for filtration in FILTRATIONS]
    assert energies == sorted(energies)
    assert _mean_kev(90.0, "4Al+0.1Cu") == pytest.approx(55.0, abs=3.0)


def test_between_tabulated_voltages_the_beam_is_between() -> None:
    low, middle, high = (energy_weights(kv, "3Al") for kv in (80.0, 85.0, 90.0))
    np.testing.assert_allclose(middle, 0.5 * (low + high), atol=1e-5)


@pytest.mark.parametrize(
    ("tube_voltage_kv", "filtration", "said"),
    [(59.0, "3Al", "60 to 110"), (math.nan, "3Al", "60 to 110"), (90.0, "lead", "3Al, 4Al")],
)
def test_unknown_beams_are_refused(tube_voltage_kv: float, filtration: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        energy_weights(tube_voltage_kv, filtration)  # type: ignore[arg-type]


def test_nothing_in_the_way_transmits_everything() -> None:
    clear = polyenergetic_transmission(np.zeros((1, len(MATERIALS)), np.float32), WEIGHTS)
    assert clear == pytest.approx(1.0)


def test_one_energy_through_ten_millimetres_of_bone() -> None:
    """exp(-mu rho t) with NIST's 0.3148 cm2/g at 60 keV, 1.92 g/cm3, 1 cm."""
    only_60_kev = np.array([float(energy == 60.0) for energy in ENERGIES_KEV])
    density = np.array([[0.0, 0.0, 1.92, 0.0, 0.0]], dtype=np.float32)
    through = polyenergetic_transmission(density, only_60_kev)
    assert through[0] == pytest.approx(math.exp(-0.3148 * 1.92 * 1.0), rel=1e-6)


def test_transmission_is_beer_lambert_at_each_energy() -> None:
    density = np.array([[20.0, 2.0, 3.0, 0.5, 0.8]], dtype=np.float32)
    by_hand = sum(
        weight * math.exp(-20.0 * water - 2.0 * fat - 3.0 * bone - 0.5 * titanium - 0.8 * iron)
        for weight, (water, fat, bone, titanium, iron) in zip(
            WEIGHTS, MASS_ATTENUATION_CM2_PER_G.T, strict=True
        )
    )
    assert polyenergetic_transmission(density, WEIGHTS)[0] == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("material", range(len(MATERIALS)))
def test_beam_hardens(material: int) -> None:
    """Twice the material attenuates less than twice: the soft part of the beam is gone."""
    density = np.zeros((2, len(MATERIALS)), dtype=np.float32)
    density[:, material] = (5.0, 10.0)
    one, two = -np.log(polyenergetic_transmission(density, WEIGHTS))
    assert one < two < 1.999 * one
