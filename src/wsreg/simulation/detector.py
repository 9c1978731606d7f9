"""From a primary transmission image to what a detector reads: pure functions on float arrays."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from wsreg.simulation.parameters import Collimator, Tool, XrayParameters

FloatImage = NDArray[np.float32]

BODY_TRANSMISSION = 0.5
"""Pixels that let less than this through count as being behind the patient."""


def steel_thickness_mm(tools: tuple[Tool, ...], rows: int, columns: int, factor: int) -> FloatImage:
    """[rows*factor, columns*factor] steel in the way of each part of a pixel, all tools together.

    Args:
        tools: in pixels of the image of ``rows`` x ``columns``.
        factor: parts of a pixel along each side.
    """
    row, column = np.meshgrid(
        (np.arange(rows * factor) + 0.5) / factor - 0.5,
        (np.arange(columns * factor) + 0.5) / factor - 0.5,
        indexing="ij",
    )
    points = np.stack((column, row), axis=-1)
    thickness = np.zeros(row.shape, dtype=np.float32)
    for tool in tools:
        corners = np.asarray(tool.points_px)
        distance = np.min(
            [
                _distance_to_segment(points, start, end)
                for start, end in itertools.pairwise(corners)
            ],
            axis=0,
        )
        chord = np.sqrt(np.clip(1.0 - (distance / tool.radius_px) ** 2, 0.0, None))
        thickness += (tool.thickness_mm * chord).astype(np.float32)
    return thickness


def scatter(primary: FloatImage, fraction: float, sigma_px: tuple[float, float]) -> FloatImage:
    """Scattered radiation reaching each pixel, in the unit of the primary.

    Each ray scatters forward in proportion to -P ln P: nothing where there is no patient, nothing
    where nothing gets through.  The blurred sum is scaled so that scatter makes up ``fraction`` of
    the signal at the median pixel behind the patient.

    Source: B. Ohnesorge, T. Flohr, K. Klingenbeck-Regn, "Efficient object scatter correction
    algorithm for third and fourth generation CT scanners", European Radiology 9, 1999.
    """
    from scipy.ndimage import gaussian_filter

    body = primary < BODY_TRANSMISSION
    if fraction == 0.0 or not body.any():
        return np.zeros_like(primary)
    positive = np.maximum(primary, np.finfo(np.float32).tiny)
    spread = gaussian_filter(-positive * np.log(positive), sigma_px, mode="nearest")
    ratio = float(np.median(spread[body] / positive[body]))
    scaled: FloatImage = (spread * (fraction / (1.0 - fraction) / ratio)).astype(np.float32)
    return scaled


def exposed_field(collimator: Collimator, rows: int, columns: int) -> FloatImage:
    """[rows,columns] share of the beam that the collimator lets through, soft at its edge."""
    if collimator.shape == "none":
        return np.ones((rows, columns), dtype=np.float32)
    side = min(rows, columns)
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    dx = np.abs(column - (collimator.centre[0] * columns - 0.5))
    dy = np.abs(row - (collimator.centre[1] * rows - 0.5))
    half_x, half_y = (side * half for half in collimator.half_size)
    if collimator.shape == "circle":
        inside_px = half_x - np.hypot(dx, dy)
    else:
        inside_px = np.minimum(half_x - dx, half_y - dy)
    share = np.clip(inside_px / max(collimator.edge_px, 1e-6) + 0.5, 0.0, 1.0)
    field: FloatImage = (collimator.leakage + (1.0 - collimator.leakage) * share).astype(np.float32)
    return field


def read_out(signal: FloatImage, parameters: XrayParameters, seed: int) -> FloatImage:
    """Quantum noise, scintillator blur, electronic noise, saturation and gain.

    Args:
        signal: [H,W] mean signal, 1 is the open beam.
        parameters: of this X-ray.
        seed: of the noise.
    """
    from scipy.ndimage import gaussian_filter

    generator = np.random.default_rng(seed)
    quanta = generator.poisson(signal.astype(np.float64) * parameters.photons).astype(np.float64)
    quanta = gaussian_filter(quanta, parameters.detector_blur_px, mode="nearest")
    quanta += generator.normal(0.0, parameters.electronic_noise, size=signal.shape)
    signal = np.clip(quanta / parameters.photons, 0.0, parameters.saturation).astype(np.float32)
    return parameters.gain * signal


def _distance_to_segment(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[...] distance of points [...,2] to the segment from ``start`` [2] to ``end`` [2]."""
    along = end - start
    share = np.clip(((points - start) @ along) / max(float(along @ along), 1e-12), 0.0, 1.0)
    distance: NDArray[np.float64] = np.linalg.norm(
        points - (start + share[..., None] * along), axis=-1
    )
    return distance
