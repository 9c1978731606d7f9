"""From Hounsfield units to materials, and how those attenuate at each energy of the beam."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wsreg.volumes.volume import AIR_HU

MATERIALS = ("soft tissue", "cortical bone", "titanium")

ENERGIES_KEV = (40.0, 50.0, 60.0, 80.0)

ENERGY_WEIGHTS = (0.26, 0.24, 0.36, 0.14)
"""Share of the detector signal near each energy: 90 kVp tungsten spectrum behind 4 mm Al and
0.1 mm Cu (SpekPy), read by an energy-integrating detector with 0.6 mm of caesium iodide."""

MASS_ATTENUATION_CM2_PER_G = np.array(
    [
        [0.2683, 0.2269, 0.2059, 0.1837],
        [0.6655, 0.4242, 0.3148, 0.2229],
        [2.214, 1.213, 0.7661, 0.4052],
    ]
)
"""[material, energy].  Source: Hubbell and Seltzer, NIST Standard Reference Database 126, tables 3
and 4 (water, which stands for soft tissue; ICRU-44 cortical bone; titanium)."""

STEEL_MASS_ATTENUATION_CM2_PER_G = np.array([3.629, 1.958, 1.205, 0.5952])
"""[energy]: iron, same source."""

STEEL_DENSITY_G_PER_CM3 = 7.87

SOFT_TISSUE_END_HU = 100.0
BONE_HU, BONE_DENSITY_G_PER_CM3 = 1600.0, 1.92
METAL_START_HU, METAL_HU, METAL_DENSITY_G_PER_CM3 = 2500.0, 3000.0, 4.54


def material_density(hu: Tensor, material: int, air_hu: float = AIR_HU) -> NDArray[np.float32]:
    """Density of one material in each voxel, piecewise linear and continuous in HU.

    Up to 100 HU: soft tissue, fat and lung as water of density 1 + HU/1000; from there mixed with
    cortical bone, all bone at 1600 HU; replaced by metal between 2500 and 3000 HU, where scanners
    saturate.  Air (``air_hu`` and below, padding too) has none.

    Args:
        hu: [D,H,W] Hounsfield units.
        material: index into ``MATERIALS``; one at a time, as a fine CT fills the memory.
        air_hu: what counts as air.

    Returns:
        [D,H,W] float32 g/cm3.
    """
    density = np.empty(hu.shape, dtype=np.float32)
    _fill_density(hu.numpy().ravel(), material, air_hu, density.ravel())
    return density


@numba.njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
def _fill_density(
    hu: NDArray[Any], material: int, air_hu: float, density: NDArray[np.float32]
) -> None:
    """Write the [N] densities of one material for [N] Hounsfield units."""
    for voxel in numba.prange(hu.size):
        value = float(hu[voxel])
        bone = _ramp(value, SOFT_TISSUE_END_HU, BONE_HU)
        metal = _ramp(value, METAL_START_HU, METAL_HU)
        if value <= air_hu:
            density[voxel] = 0.0
        elif material == 0:
            density[voxel] = (1.0 + min(value, SOFT_TISSUE_END_HU) / 1000.0) * (1.0 - bone)
        elif material == 1:
            density[voxel] = BONE_DENSITY_G_PER_CM3 * bone * (1.0 - metal)
        else:
            density[voxel] = METAL_DENSITY_G_PER_CM3 * metal


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _ramp(value: float, start: float, end: float) -> float:
    """0 up to ``start``, 1 from ``end`` on, linear between."""
    return min(max((value - start) / (end - start), 0.0), 1.0)


def polyenergetic_transmission(
    tissue_g_per_cm2: NDArray[np.float32], steel_g_per_cm2: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Beer-Lambert's law summed over the beam's energies.

    Args:
        tissue_g_per_cm2: [3,...] areal density of each of ``MATERIALS`` along each ray.
        steel_g_per_cm2: [...] areal density of steel (tools) along each ray.

    Returns:
        [...] float32 share of the open beam's signal, in (0, 1].
    """
    transmission = np.zeros(steel_g_per_cm2.shape, dtype=np.float64)
    for energy, weight in enumerate(ENERGY_WEIGHTS):
        exponent = STEEL_MASS_ATTENUATION_CM2_PER_G[energy] * steel_g_per_cm2
        for material in range(len(MATERIALS)):
            coefficient = MASS_ATTENUATION_CM2_PER_G[material, energy]
            exponent = exponent + coefficient * tissue_g_per_cm2[material]
        transmission += weight * np.exp(-exponent)
    return transmission.astype(np.float32)
