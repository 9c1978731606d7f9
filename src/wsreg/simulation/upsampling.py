"""Smooth images on a finer grid of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]

MARGIN = 2
"""Pixels at each border that the cubic convolution lacks neighbours for."""


def upsample(image: Float32Array, parts: int) -> Float32Array:
    """Split pixels [R,C,...] into ``parts`` x ``parts``, by cubic convolution.

    The outermost ``MARGIN`` pixels of ``image`` are left out of the answer, which is
    [(R-4)*parts,(C-4)*parts,...].

    Source: R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE
    Transactions on Acoustics, Speech, and Signal Processing 29(6), 1981.
    """
    if parts == 1:
        return image[MARGIN:-MARGIN, MARGIN:-MARGIN]
    for axis in (0, 1):
        image = _along(image, parts, axis)
    return image


def _along(image: Float32Array, parts: int, axis: int) -> Float32Array:
    lines = np.moveaxis(image, axis, 0)
    size = lines.shape[0] - 2 * MARGIN
    fine = np.empty((size, parts, *lines.shape[1:]), dtype=np.float32)
    for part in range(parts):
        offset = (part + 0.5) / parts - 0.5  # from the centre of the pixel, in (-0.5, 0.5)
        first = MARGIN + int(np.floor(offset)) - 1
        taps = _weights(offset - np.floor(offset))
        fine[:, part] = sum(
            weight * lines[first + tap : first + tap + size] for tap, weight in enumerate(taps)
        )
    return np.moveaxis(fine.reshape(size * parts, *lines.shape[1:]), 0, axis)


def _weights(t: float) -> tuple[np.float32, ...]:
    """Return the weights of the pixels at -1, 0, 1 and 2 for a position 0 <= t < 1."""
    return (
        np.float32(-0.5 * t + t**2 - 0.5 * t**3),
        np.float32(1.0 - 2.5 * t**2 + 1.5 * t**3),
        np.float32(0.5 * t + 2.0 * t**2 - 1.5 * t**3),
        np.float32(-0.5 * t**2 + 0.5 * t**3),
    )
