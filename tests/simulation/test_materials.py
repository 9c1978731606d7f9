"""Mass attenuation against what is known of the elements and tissues."""

from __future__ import annotations

import numpy as np
import pytest

from wsreg.simulation.materials import (
    ENERGIES_KEV,
    MASS_ATTENUATION_CM2_PER_G,
    MATERIALS,
)


def test_every_material_has_a_value_at_every_energy() -> None:
    assert MASS_ATTENUATION_CM2_PER_G.shape == (len(MATERIALS), len(ENERGIES_KEV))


def test_values_of_the_nist_tables() -> None:
    at_60_kev = MASS_ATTENUATION_CM2_PER_G[:, ENERGIES_KEV.index(60.0)]
    assert at_60_kev.tolist() == pytest.approx([0.2059, 0.1974, 0.3148, 0.7661, 1.205])


def test_fat_attenuates_least_and_metal_most() -> None:
    assert (np.diff(MASS_ATTENUATION_CM2_PER_G[[1, 0, 2, 3, 4]], axis=0) > 0.0).all()


def test_attenuation_falls_with_energy_and_smoothly() -> None:
    """On logarithmic axes it is nearly straight: an error in one value would make a kink."""
    slopes = np.diff(np.log(MASS_ATTENUATION_CM2_PER_G), axis=1) / np.diff(np.log(ENERGIES_KEV))
    assert (slopes < 0.0).all()
    assert (slopes > -3.2).all()
    assert np.abs(np.diff(slopes, axis=1)).max() < 0.45
