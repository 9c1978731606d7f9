"""A realistic X-ray of a scene or of a CT, made without the registration's renderer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.simulation.beam import energy_weights, polyenergetic_transmission
from wsreg.simulation.collimator import exposed_field
from wsreg.simulation.detector import FloatImage, read_out, scatter
from wsreg.simulation.hounsfield import material_grid
from wsreg.simulation.materials import MATERIALS
from wsreg.simulation.parameters import XrayParameters
from wsreg.simulation.refinement import refine
from wsreg.simulation.scene import ScenePart, areal_density
from wsreg.simulation.tools import metal_density
from wsreg.volumes.volume import Volume

RAY_PITCH_MM = 0.4
"""Rays are no further apart on the detector; a pixel reads the mean of its rays' signals."""

LONGEST_VOXEL_MM = 1.5
"""Longer voxels of a CT are split before the projection."""


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
    """Simulate an X-ray of a CT, its Hounsfield units read as tissue, bone and metal.

    Args:
        volume: the CT on its finest grid.
        camera: geometry of the image.
        camera_from_ct: [4,4] rigid pose, LPS mm -> camera mm.
        parameters: of this X-ray, from :func:`sample_parameters` or by hand.
        seed: of the noise.
    """
    return simulate_scene([ct_part(volume, camera_from_ct)], camera, parameters, seed)


def ct_part(volume: Volume, camera_from_ct: Tensor) -> ScenePart:
    """Return a CT as the one part of a scene, on a grid fine enough, at a pose [4,4]."""
    grid = material_grid(refine(volume, LONGEST_VOXEL_MM))
    return ScenePart(grid=grid, camera_from_part=camera_from_ct)


def simulate_scene(
    parts: Sequence[ScenePart], camera: Camera, parameters: XrayParameters, seed: int
) -> SimulatedXray:
    """Simulate an X-ray: polyenergetic beam, scatter, noise, blur, collimator, tools.

    The same arguments give the same image.

    Args:
        parts: what is in the beam; their masses add up.
        camera: geometry of the image.
        parameters: of this X-ray, from :func:`sample_parameters` or by hand.
        seed: of the noise.
    """
    primary = _primary(parts, camera, parameters)
    row_mm, column_mm = camera.pixel_spacing_mm
    sigma_mm = parameters.scatter_sigma_mm
    signal = primary + scatter(
        primary, parameters.scatter_fraction, (sigma_mm / row_mm, sigma_mm / column_mm)
    )
    signal *= exposed_field(parameters.collimator, camera.rows, camera.columns)
    transmission = torch.from_numpy(read_out(signal, parameters, seed))
    return SimulatedXray(transmission=transmission, parameters=parameters, seed=seed)


def _primary(parts: Sequence[ScenePart], camera: Camera, parameters: XrayParameters) -> FloatImage:
    """Return [rows,columns] unscattered fraction of the open beam, blurred by the focal spot."""
    from scipy.ndimage import gaussian_filter

    rows, columns = camera.rows, camera.columns
    parts_of_pixel = max(1, math.ceil(max(camera.pixel_spacing_mm) / RAY_PITCH_MM))
    rays = camera.resized(rows * parts_of_pixel, columns * parts_of_pixel)
    density = areal_density(parts, rays)
    for metal in ("steel", "titanium"):
        density[..., MATERIALS.index(metal)] += metal_density(
            parameters.tools, metal, rows, columns, parts_of_pixel
        )
    weights = energy_weights(parameters.tube_voltage_kv, parameters.filtration)
    transmission = polyenergetic_transmission(density, weights)
    pixels = transmission.reshape(rows, parts_of_pixel, columns, parts_of_pixel).mean(axis=(1, 3))
    blurred: FloatImage = gaussian_filter(pixels, parameters.focal_blur_px, mode="nearest")
    return blurred
