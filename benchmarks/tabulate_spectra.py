"""Tabulate X-ray beams for the simulator: what fraction of the detector signal each energy makes.

Tungsten spectra by SpekPy (Poludniowski et al., Medical Physics 48, 2021) behind a filter, weighted
by the energy that 0.6 mm of caesium iodide absorbs (photoelectric, xraydb).  Each keV is shared by
the two tabulated energies around it, so that the mean energy stays; 30 keV also stands for what is
below, 100 keV for what is above.

    pip install spekpy==2.5.4 xraydb
    python benchmarks/tabulate_spectra.py            # writes src/wsreg/simulation/beams.csv

It prints how far the tabulated beams are from the whole spectra behind water and bone.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import spekpy
import tyro
import xraydb
from numpy.typing import NDArray

from wsreg.simulation.beam import FILTRATIONS, TABLE_FILE
from wsreg.simulation.materials import ENERGIES_KEV

VOLTAGES_KV = (60, 70, 80, 90, 100, 110)
ANODE_ANGLE_DEG = 12.0
SCINTILLATOR, SCINTILLATOR_G_PER_CM3, SCINTILLATOR_CM = "CsI", 4.51, 0.06
BONE = {"H": 0.034, "C": 0.155, "N": 0.042, "O": 0.435, "Na": 0.001, "Mg": 0.002, "P": 0.103,
        "S": 0.003, "Ca": 0.225}  # fmt: skip
WATER = {"H": 0.1119, "O": 0.8881}

FloatArray = NDArray[np.float64]


def detector_signal(
    voltage_kv: float, aluminium_mm: float, copper_mm: float
) -> tuple[FloatArray, FloatArray]:
    """Return energies [E] (keV) of a spectrum and fractions [E] of the detector signal."""
    beam = spekpy.Spek(kvp=voltage_kv, th=ANODE_ANGLE_DEG, dk=0.5)
    beam.multi_filter((("Al", aluminium_mm), ("Cu", copper_mm)))
    energies_kev, fluence = beam.get_spectrum()
    per_cm = xraydb.material_mu(
        SCINTILLATOR, 1000.0 * energies_kev, density=SCINTILLATOR_G_PER_CM3, kind="photo"
    )
    signal = fluence * energies_kev * (1.0 - np.exp(-per_cm * SCINTILLATOR_CM))
    return energies_kev, signal / signal.sum()


def shared_weights(energies_kev: FloatArray, signal: FloatArray) -> FloatArray:
    """[len(ENERGIES_KEV)] the signal shared by the tabulated energies."""
    grid = np.array(ENERGIES_KEV)
    hats = [np.interp(energies_kev, grid, one) for one in np.eye(len(grid))]
    return np.array([np.sum(signal * hat) for hat in hats])


def transmission(
    energies_kev: FloatArray, signal: FloatArray, water_cm: float, bone_g: float
) -> float:
    """Return the fraction of the signal behind water (cm) and bone (g/cm2)."""
    exponent = water_cm * _attenuation(WATER, energies_kev) + bone_g * _attenuation(
        BONE, energies_kev
    )
    return float(np.sum(signal * np.exp(-exponent)))


def _attenuation(fractions: dict[str, float], energies_kev: FloatArray) -> FloatArray:
    return np.asarray(
        sum(
            fraction * xraydb.mu_elam(name, 1000.0 * energies_kev)
            for name, fraction in fractions.items()
        )
    )


def main(out: Path = TABLE_FILE) -> None:
    """Write the table.

    Args:
        out: CSV file.
    """
    with out.open("w", encoding="utf-8", newline="\n") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [
                "filtration",
                "tube_voltage_kv",
                *(f"fraction_{energy:g}_kev" for energy in ENERGIES_KEV),
            ]
        )
        for name, (aluminium_mm, copper_mm) in FILTRATIONS.items():
            for voltage_kv in VOLTAGES_KV:
                spectrum = detector_signal(voltage_kv, aluminium_mm, copper_mm)
                weights = shared_weights(*spectrum)
                writer.writerow([name, voltage_kv, *(f"{weight:.5f}" for weight in weights)])
                tabulated = (np.array(ENERGIES_KEV), weights)
                errors = [
                    np.log(transmission(*tabulated, *path) / transmission(*spectrum, *path))
                    for path in ((10.0, 0.0), (25.0, 0.0), (20.0, 5.0))
                ]
                print(f"{name:>12} {voltage_kv} kV: log error", *(f"{e:+.4f}" for e in errors))


if __name__ == "__main__":
    tyro.cli(main)
