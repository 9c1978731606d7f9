"""What a CT's Hounsfield units are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wsreg.compiled import compiled
from wsreg.simulation.scene import MaterialGrid
from wsreg.threads import run_ranges
from wsreg.volumes.volume import AIR_HU, Volume

CT_MATERIALS = ("soft tissue", "cortical bone", "titanium")

SOFT_TISSUE_END_HU = 100.0
BONE_HU, BONE_DENSITY_G_PER_CM3 = 1600.0, 1.92
METAL_START_HU, METAL_HU, METAL_DENSITY_G_PER_CM3 = 2500.0, 3000.0, 4.54

VOXELS_WORTH_A_THREAD = 2**17


def material_grid(volume: Volume) -> MaterialGrid:
    """Return the materials of a CT on its own grid; titanium only if there is metal in it."""
    with_metal = float(volume.hu.max()) > METAL_START_HU
    return MaterialGrid(
        density=material_density(volume.hu, volume.air_hu, with_metal=with_metal),
        materials=CT_MATERIALS if with_metal else CT_MATERIALS[:2],
        part_from_voxel=volume.ct_from_voxel,
    )


def material_density(
    hu: Tensor, air_hu: float = AIR_HU, *, with_metal: bool = True
) -> NDArray[np.float32]:
    """Return the density of ``CT_MATERIALS`` in each voxel, piecewise linear, continuous in HU.

    Up to 100 HU: soft tissue, fat and lung as water of density 1 + HU/1000; from there mixed with
    cortical bone, all bone at 1600 HU; replaced by metal between 2500 and 3000 HU, where scanners
    saturate.  Air (``air_hu`` and below, padding too) has none.

    Args:
        hu: [D,H,W] Hounsfield units.
        air_hu: what counts as air.
        with_metal: whether there can be metal.

    Returns:
        [D,H,W,3] float32 g/cm3, without metal [D,H,W,2].
    """
    count = len(CT_MATERIALS) if with_metal else 2
    density = np.empty((*hu.shape, count), dtype=np.float32)
    flat, flat_density = hu.numpy().ravel(), density.reshape(-1, count)
    run_ranges(
        lambda first, last: _fill_density(first, last, flat, air_hu, flat_density),
        len(flat),
        smallest=VOXELS_WORTH_A_THREAD,
    )
    return density


@compiled(nogil=True)
def _fill_density(
    first: int, last: int, hu: NDArray[Any], air_hu: float, density: NDArray[np.float32]
) -> None:
    """Write the [N,3] or [N,2] densities for voxels ``first`` to ``last`` of [N] in HU."""
    for voxel in range(first, last):
        value = float(hu[voxel])
        bone = _ramp(value, SOFT_TISSUE_END_HU, BONE_HU)
        metal = _ramp(value, METAL_START_HU, METAL_HU)
        if value <= air_hu:
            density[voxel] = 0.0
        else:
            density[voxel, 0] = (1.0 + min(value, SOFT_TISSUE_END_HU) / 1000.0) * (1.0 - bone)
            density[voxel, 1] = BONE_DENSITY_G_PER_CM3 * bone * (1.0 - metal)
            if density.shape[1] > 2:
                density[voxel, 2] = METAL_DENSITY_G_PER_CM3 * metal


@compiled()
def _ramp(value: float, start: float, end: float) -> float:
    """Return 0 up to ``start``, 1 from ``end`` on, linear between."""
    return min(max((value - start) / (end - start), 0.0), 1.0)
