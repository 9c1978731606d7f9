"""How well edges agree where they agree best: scatter, tools and narrow fields hardly change it."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

SIGMA_FRACTION = 2.5 / 192.0
"""Images are smoothed with a Gaussian of this fraction of their longer side."""
BLOCKS_ACROSS, LEAST_BLOCK_PX = 8, 8
BEST_PERCENTILE = 90.0
MIN_VALID = 0.5
"""A block takes part if at least this fraction of its pixels is valid."""


def gradient_agreement(fixed: Tensor, mask: Tensor, moving: Tensor) -> float:
    """Return the correlation of image gradients in the blocks where it is best, from -1 to 1.

    The images [H,W] under a mask [H,W] are smoothed and cut into 8 x 8 blocks (fewer of a small
    image); of each, the correlation of the two fields of gradient vectors is taken, and of those
    the 90th percentile.
    """
    from scipy.ndimage import gaussian_filter

    sigma = SIGMA_FRACTION * max(fixed.shape)
    valid = mask.numpy()
    filled = [_filled(image.double().numpy(), valid) for image in (fixed, moving)]
    (ax, ay), (bx, by) = (np.gradient(gaussian_filter(image, sigma)) for image in filled)
    products = np.stack((ax * bx + ay * by, ax * ax + ay * ay, bx * bx + by * by)) * valid
    rows, columns = (_edges(size) for size in valid.shape)
    found = []
    for top, bottom in itertools.pairwise(rows):
        for left, right in itertools.pairwise(columns):
            block = (slice(top, bottom), slice(left, right))
            if valid[block].size and valid[block].mean() >= MIN_VALID:
                cross, a, b = products[:, block[0], block[1]].sum(axis=(1, 2))
                found.append(cross / np.sqrt(a * b) if a * b > 0 else 0.0)
    return float(np.percentile(found, BEST_PERCENTILE)) if found else 0.0


def _edges(size: int) -> NDArray[np.int64]:
    """Return where the blocks along a side of so many pixels begin, and where the last ends."""
    blocks = min(BLOCKS_ACROSS, max(1, size // LEAST_BLOCK_PX))
    return np.linspace(0, size, blocks + 1).astype(np.int64)


def _filled(image: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the image with its mean where it is not valid."""
    return np.where(valid, image, image[valid].mean() if valid.any() else 0.0)
