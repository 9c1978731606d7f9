"""The materials of a scene and how they attenuate at each energy of the beam."""

from __future__ import annotations

import numpy as np

MATERIALS = ("soft tissue", "fat", "cortical bone", "titanium", "steel")

ENERGIES_KEV = (30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0)

MASS_ATTENUATION_CM2_PER_G = np.array(
    [
        [0.3756, 0.2683, 0.2269, 0.2059, 0.1929, 0.1837, 0.1766, 0.1707],
        [0.3063, 0.2396, 0.2123, 0.1974, 0.1875, 0.1800, 0.1740, 0.1688],
        [1.3310, 0.6655, 0.4242, 0.3148, 0.2570, 0.2229, 0.2008, 0.1855],
        [4.9720, 2.2140, 1.2130, 0.7661, 0.5361, 0.4052, 0.3247, 0.2721],
        [8.1760, 3.6290, 1.9580, 1.2050, 0.8164, 0.5952, 0.4597, 0.3717],
    ]
)
"""[material, energy].  Source: Hubbell and Seltzer, NIST Standard Reference Database 126, tables 3
and 4 (water, which stands for soft tissue; ICRU-44 adipose tissue; ICRU-44 cortical bone;
titanium; iron).  70 and 90 keV, which those tables lack: Elam, Ravel and Sieber, Radiation Physics
and Chemistry 63, 2002 (by xraydb; it agrees with NIST within 0.1 % at the other energies)."""

METAL_DENSITY_G_PER_CM3 = {"titanium": 4.51, "steel": 7.87}
"""Of tools and implants; steel as pure iron."""
