"""From a primary transmission image to what a detector reads: pure functions on float arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsreg.simulation.parameters import XrayParameters
from wsreg.simulation.upsampling import MARGIN, upsample

FloatImage = NDArray[np.float32]

BODY_TRANSMISSION = 0.5
"""Pixels that let less than this through count as being behind the patient."""

PIXELS_FOR_EACH_SIGMA = 8
"""Scatter is so smooth that it is spread on coarser pixels, this many in a standard deviation."""

OPEN_BEAM_COUNTS = 65487
"""What DeepFluoro's detector counts in the open beam."""


def scatter(primary: FloatImage, fraction: float, sigma_px: tuple[float, float]) -> FloatImage:
    """Return the scattered radiation that reaches each pixel, in the unit of the primary.

    Each ray scatters forward in proportion to -P ln P: nothing where there is no patient, nothing
    where nothing gets through.  The blurred sum is scaled so that scatter makes up ``fraction`` of
    the signal at the median pixel behind the patient.

    Source: B. Ohnesorge, T. Flohr, K. Klingenbeck-Regn, "Efficient object scatter correction
    algorithm for third and fourth generation CT scanners", European Radiology 9, 1999.

    Args:
        primary: [H,W], 1 is the open beam.
        fraction: in [0, 1).
        sigma_px: (rows, columns) standard deviation of the spread.
    """
    body = primary < BODY_TRANSMISSION
    if fraction == 0.0 or not body.any():
        return np.zeros_like(primary)
    positive = np.maximum(primary, np.finfo(np.float32).tiny)
    spread = _spread(-positive * np.log(positive), sigma_px)
    ratio = float(np.median(spread[body] / positive[body]))
    scaled: FloatImage = (spread * (fraction / (1.0 - fraction) / ratio)).astype(np.float32)
    return scaled


def _spread(image: FloatImage, sigma_px: tuple[float, float]) -> FloatImage:
    """Blur the image [H,W] by a Gaussian many pixels wide."""
    from scipy.ndimage import gaussian_filter

    parts = max(1, int(min(sigma_px) / PIXELS_FOR_EACH_SIGMA))
    rows, columns = image.shape
    whole = np.pad(image, ((0, -rows % parts), (0, -columns % parts)), mode="edge")
    blocks = whole.reshape(whole.shape[0] // parts, parts, whole.shape[1] // parts, parts)
    coarse = blocks.mean(axis=(1, 3))
    blurred = gaussian_filter(coarse, [sigma / parts for sigma in sigma_px], mode="nearest")
    return upsample(np.pad(blurred, MARGIN, mode="edge"), parts)[:rows, :columns]


def read_out(signal: FloatImage, parameters: XrayParameters, seed: int) -> FloatImage:
    """Apply quantum noise, scintillator blur, electronic noise, saturation and gain.

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


def digitise(
    signal: NDArray[np.float32], open_beam_counts: float = OPEN_BEAM_COUNTS
) -> NDArray[np.uint16]:
    """Return [H,W] the 16-bit counts of a detector signal; what is beyond their range is cut.

    Args:
        signal: [H,W], 1 is the open beam of a detector with gain 1.
        open_beam_counts: counts at a signal of 1.
    """
    highest = np.iinfo(np.uint16).max
    counts: NDArray[np.uint16] = np.clip(np.rint(signal * open_beam_counts), 0, highest).astype(
        np.uint16
    )
    return counts
