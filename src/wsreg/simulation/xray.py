"""A realistic X-ray of a CT, made without the registration's renderer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.simulation.detector import (
    FloatImage,
    exposed_field,
    read_out,
    scatter,
    steel_thickness_mm,
)
from wsreg.simulation.joseph import project, voxel_from_camera
from wsreg.simulation.materials import (
    MATERIALS,
    STEEL_DENSITY_G_PER_CM3,
    material_density,
    polyenergetic_transmission,
)
from wsreg.simulation.parameters import XrayParameters
from wsreg.simulation.refinement import refine
from wsreg.volumes.volume import Volume

CM_PER_MM = 0.1

SUPERSAMPLING = 2
"""Rays along each side of a pixel: a pixel reads the mean over its area, not its centre."""


LONGEST_VOXEL_MM = 1.5
"""Longer voxels are split before the projection."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedXray:
    """One simulated X-ray and what it takes to make it again.

    Args:
        transmission: [rows,columns] float32 detector signal, bright where little is in the way;
            the open beam reads ``parameters.gain`` unless it saturates.
        parameters: as applied.
        seed: of the noise.
    """

    transmission: Tensor
    parameters: XrayParameters
    seed: int


def simulate_xray(
    volume: Volume,
    camera: Camera,
    camera_from_ct: Tensor,
    parameters: XrayParameters,
    seed: int,
) -> SimulatedXray:
    """Simulate an X-ray: polyenergetic beam, three materials, scatter, noise, blur, tools.

    The same arguments give the same image.

    Args:
        volume: the CT on its finest grid.
        camera: geometry of the image.
        camera_from_ct: [4,4] rigid pose, LPS mm -> camera mm.
        parameters: of this X-ray, from :func:`sample_parameters` or by hand.
        seed: of the noise.
    """
    primary = _primary(volume, camera, camera_from_ct, parameters)
    row_mm, column_mm = camera.pixel_spacing_mm
    sigma_mm = parameters.scatter_sigma_mm
    signal = primary + scatter(
        primary, parameters.scatter_fraction, (sigma_mm / row_mm, sigma_mm / column_mm)
    )
    signal *= exposed_field(parameters.collimator, camera.rows, camera.columns)
    transmission = torch.from_numpy(read_out(signal, parameters, seed))
    return SimulatedXray(transmission=transmission, parameters=parameters, seed=seed)


def _primary(
    volume: Volume, camera: Camera, camera_from_ct: Tensor, parameters: XrayParameters
) -> FloatImage:
    """[rows,columns] unscattered share of the open beam, blurred by the focal spot."""
    from scipy.ndimage import gaussian_filter

    rows, columns, parts = camera.rows, camera.columns, SUPERSAMPLING
    fine_camera = camera.resized(rows * parts, columns * parts)
    fine_volume = refine(volume, LONGEST_VOXEL_MM)
    affine = voxel_from_camera(fine_volume, camera_from_ct)
    tissue = np.zeros((len(MATERIALS), fine_camera.rows, fine_camera.columns), dtype=np.float32)
    for material in range(len(MATERIALS)):
        density = material_density(fine_volume.hu, material, fine_volume.air_hu)
        if density.any():
            tissue[material] = CM_PER_MM * project(density[None], affine, fine_camera)[0]
    steel_mm = steel_thickness_mm(parameters.tools, rows, columns, parts)
    transmission = polyenergetic_transmission(
        tissue, CM_PER_MM * STEEL_DENSITY_G_PER_CM3 * steel_mm
    )
    pixels = transmission.reshape(rows, parts, columns, parts).mean(axis=(1, 3))
    blurred: FloatImage = gaussian_filter(pixels, parameters.focal_blur_px, mode="nearest")
    return blurred
