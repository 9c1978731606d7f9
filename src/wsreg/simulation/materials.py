"""The materials of a scene and how they attenuate at each energy of the beam."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MATERIALS = ("soft tissue", "fat", "cortical bone", "titanium", "steel")

ENERGIES_KEV = (30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0)

MASS_ATTENUATION_CM2_PER_G = np.array(
    [
        [0.3756, 0.2683, 0.2269, 0.2059, 0.1929, 0.1837, 0.1763, 0.1707],
        [0.3063, 0.2396, 0.2123, 0.1974, 0.1876, 0.1800, 0.1738, 0.1688],
        [1.3310, 0.6655, 0.4242, 0.3148, 0.2577, 0.2229, 0.2012, 0.1855],
        [4.9720, 2.2140, 1.2130, 0.7661, 0.5404, 0.4052, 0.3256, 0.2721],
        [8.1760, 3.6290, 1.9580, 1.2050, 0.8242, 0.5952, 0.4584, 0.3717],
    ]
)
"""[material, energy].  Source: Hubbell and Seltzer, NIST Standard Reference Database 126, tables 3
and 4 (water, which stands for soft tissue; ICRU-44 adipose tissue; ICRU-44 cortical bone;
titanium; iron), with log-log interpolation at 70 and 90 keV as the tables advise."""

STEEL_DENSITY_G_PER_CM3 = 7.87

ENERGY_WEIGHTS = (0.06, 0.2, 0.24, 0.33, 0.1, 0.07, 0.0, 0.0)


def polyenergetic_transmission(
    areal_density: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Beer-Lambert's law summed over the beam's energies.

    Args:
        areal_density: [...,5] g/cm2 of each of ``MATERIALS`` along each ray.

    Returns:
        [...] float32 share of the open beam's signal, in (0, 1].
    """
    present = [m for m in range(len(MATERIALS)) if areal_density[..., m].any()]
    transmission = np.zeros(areal_density.shape[:-1], dtype=np.float32)
    for energy, weight in enumerate(ENERGY_WEIGHTS):
        exponent = np.zeros_like(transmission)
        for material in present:
            coefficient = np.float32(MASS_ATTENUATION_CM2_PER_G[material, energy])
            exponent += coefficient * areal_density[..., material]
        transmission += np.float32(weight) * np.exp(-exponent)
    return transmission
