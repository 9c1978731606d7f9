"""The X-ray beam: which fraction of the detector signal each energy makes."""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.simulation.materials import ENERGIES_KEV, MASS_ATTENUATION_CM2_PER_G, MATERIALS

Filtration = Literal["3Al", "4Al+0.1Cu", "4Al+0.2Cu", "4Al+0.3Cu"]

FILTRATIONS: dict[Filtration, tuple[float, float]] = {
    "3Al": (3.0, 0.0),
    "4Al+0.1Cu": (4.0, 0.1),
    "4Al+0.2Cu": (4.0, 0.2),
    "4Al+0.3Cu": (4.0, 0.3),
}
"""mm of aluminium and of copper, the tube's own filtration included."""

TABLE_FILE = Path(__file__).with_name("beams.csv")
"""Tungsten spectra as an energy-integrating detector with 0.6 mm of caesium iodide weighs them;
made by benchmarks/tabulate_spectra.py."""


def energy_weights(tube_voltage_kv: float, filtration: Filtration) -> NDArray[np.float64]:
    """Return [8] fraction of the open beam's detector signal near each of ``ENERGIES_KEV``, sum 1.

    Raises:
        InputError: for an unknown filtration or a voltage outside of the table.
    """
    if filtration not in get_args(Filtration):
        raise InputError(f"filtration must be one of {', '.join(FILTRATIONS)}, got {filtration!r}")
    voltages_kv, fractions = _table()[filtration]
    if not voltages_kv[0] <= tube_voltage_kv <= voltages_kv[-1]:
        raise InputError(
            f"tube_voltage_kv must be from {voltages_kv[0]:g} to {voltages_kv[-1]:g}, "
            f"got {tube_voltage_kv}"
        )
    weights = np.array(
        [np.interp(tube_voltage_kv, voltages_kv, fraction) for fraction in fractions.T]
    )
    fraction: NDArray[np.float64] = weights / weights.sum()
    return fraction


def polyenergetic_transmission(
    areal_density: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Apply Beer-Lambert's law, summed over the beam's energies.

    Args:
        areal_density: [...,5] g/cm2 of each of ``MATERIALS`` along each ray.
        weights: [8] from :func:`energy_weights`.

    Returns:
        [...] float32 fraction of the open beam's signal, in [0, 1].
    """
    present = [m for m in range(len(MATERIALS)) if areal_density[..., m].any()]
    transmission = np.zeros(areal_density.shape[:-1], dtype=np.float32)
    for energy in range(len(ENERGIES_KEV)):
        exponent = np.zeros_like(transmission)
        for material in present:
            coefficient = np.float32(MASS_ATTENUATION_CM2_PER_G[material, energy])
            exponent += coefficient * areal_density[..., material]
        transmission += np.float32(weights[energy]) * np.exp(-exponent)
    return transmission


@functools.cache
def _table() -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Read for each filtration the voltages [V] (kV), rising, and fractions [V,8]."""
    with TABLE_FILE.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    table = {}
    for filtration in FILTRATIONS:
        numbers = np.array([row[1:] for row in rows if row[0] == filtration], dtype=np.float64)
        table[str(filtration)] = (numbers[:, 0], numbers[:, 1:])
    return table
