"""Tell from an image whether air or bone is bright.

Four signs are weighed by a logistic regression (``benchmarks/fields.py``).  Each changes its sign
with the polarity, and none depends on where in the image a body is, or on the grey scale's curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.radiographs.resample import area_mean, reduced_shape

FloatImage = NDArray[np.floating]
BoolImage = NDArray[np.bool_]

GUESS_SIZE_PX = 128
"""Longer side of the reduced image on which the polarity is guessed."""

MIN_PIXELS = 50
"""A region of the reduced image with fewer pixels tells nothing."""

RIM_PX = 2
"""So many pixels at the edge of field and image are not looked at."""

CENTRE_WEIGHT = 4.9
EDGE_WEIGHT = -6.4
POCKET_WEIGHT = -1.8
BEYOND_WEIGHT = 5.5
"""Weights of the signs, for the logarithm of the odds that bone is bright."""

SURE_LOG_ODDS = 2.0
"""From here on a look is sure."""

EDGE_SMOOTHING_PX = 1.5
LEAST_STEEPNESS = 0.05
"""Slopes up to this fraction of the steepest ones are level."""

POCKET_PX = (4.0, 10.0)
"""Pockets of air are between these sizes, standard deviations of two Gaussians."""

CLEAR_SKEWNESS = 1.5
"""Far above it more skewness does not tell more."""

CONSTANT = 0.005
"""Differences up to this fraction of the image's greys are none."""


@dataclass(frozen=True, kw_only=True)
class Polarity:
    """What an image looks like.

    Args:
        log_odds: logarithm of the odds that bone is bright, 0 where nothing tells.
    """

    log_odds: float

    @property
    def air_is_bright(self) -> bool:
        """Return the likelier polarity."""
        return self.log_odds <= 0

    @property
    def sure(self) -> bool:
        """Tell whether the image shows it clearly."""
        return abs(self.log_odds) >= SURE_LOG_ODDS


def polarity_of(
    pixels: Tensor,
    field: Tensor,
    pixel_spacing_mm: tuple[float, float] = (1.0, 1.0),
    blocked: Tensor | None = None,
) -> Polarity:
    """Return what an image looks like.

    Args:
        pixels: [H,W] pixel values.
        field: [H,W] bool, the exposed part.
        pixel_spacing_mm: (row spacing, column spacing), of which only the ratio counts.
        blocked: [H,W] bool, what a collimator is in front of, where one was found.
    """
    rows, columns = reduced_shape(pixels, GUESS_SIZE_PX, pixel_spacing_mm)
    values = pixels.float()
    covered = area_mean(field.float(), rows, columns)
    inside = area_mean(torch.where(field, values, 0.0), rows, columns) / covered.clamp_min(1e-6)
    image, exposed = inside.numpy(), (covered > 0.5).numpy()
    beyond = 0.0
    if blocked is not None and bool(blocked.any()):
        clear = (area_mean(blocked.float(), rows, columns) > 1 - 1e-5).numpy()
        beyond = _sign_beyond(area_mean(values, rows, columns).numpy(), exposed, clear)
    return Polarity(log_odds=look(image, exposed).log_odds + BEYOND_WEIGHT * beyond)


def look(image: FloatImage, field: BoolImage) -> Polarity:
    """Return what a small image [H,W] with square pixels looks like within its field [H,W]."""
    from scipy import ndimage

    # What is left of a shutter at the very edge would be taken for anatomy.
    clear = ndimage.binary_erosion(field, np.ones((3, 3)), iterations=RIM_PX)
    field = clear if clear.sum() >= MIN_PIXELS else field
    if field.sum() < MIN_PIXELS:
        return Polarity(log_odds=0.0)
    low, high = np.quantile(image[field], [0.01, 0.99])
    if high <= low:
        return Polarity(log_odds=0.0)
    levels = np.clip((image - low) / (high - low), 0.0, 1.0)
    # Beyond the field its nearest pixels go on, so that the field's edge is no edge.
    nearest = ndimage.distance_transform_edt(~field, return_distances=False, return_indices=True)
    filled = levels[tuple(nearest)]
    inner = ndimage.binary_erosion(field, iterations=3, border_value=1)
    inner = inner if inner.sum() >= MIN_PIXELS else field
    return Polarity(
        log_odds=CENTRE_WEIGHT * centre_contrast(levels, field)
        + EDGE_WEIGHT * edge_correlation(filled, inner)
        + POCKET_WEIGHT * pocket_skewness(filled, inner)
    )


def centre_contrast(levels: FloatImage, field: BoolImage) -> float:
    """Return how much brighter the middle of the field is than its rim, for levels in 0 to 1.

    A body is thickest where it is imaged, near the middle, and thins out or gives way to air or
    lung towards the rim: the answer is positive where bone is bright.
    """
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(field, 1))[1:-1, 1:-1]
    middle, rim = depth > 0.5 * depth.max(), field & (depth < 0.15 * depth.max())
    if not rim.any():
        return 0.0
    return float(levels[middle].mean() - levels[rim].mean())


def edge_correlation(levels: FloatImage, region: BoolImage) -> float:
    """Return whether edges are steeper where a region [H,W] is bright, as a correlation of ranks.

    A body's outline, lungs and gas are round: what is in the way of the beam changes most where
    there is little of it.  The answer is negative where bone is bright.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(levels, EDGE_SMOOTHING_PX)
    steepness = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1))
    if not region.any():
        return 0.0
    # Direct exposure and what saturates have no edges; they say nothing.
    least = LEAST_STEEPNESS * float(np.quantile(steepness[region], 0.95))
    region = region & (steepness > least)
    if region.sum() < MIN_PIXELS:
        return 0.0
    first, second = ranks(steepness[region]), ranks(smooth[region])
    spread = float(first.std() * second.std())
    if spread == 0.0:
        return 0.0
    return float(np.mean((first - first.mean()) * (second - second.mean()))) / spread


def ranks(values: FloatImage) -> FloatImage:
    """Return the rank of each of N values, from 1; equal ones share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    shared: FloatImage = np.cumsum(count) - 0.5 * (count - 1)
    return shared[place]


def pocket_skewness(levels: FloatImage, region: BoolImage) -> float:
    """Return the skewness, -1 to 1, of a region's structures of the size of gas and bones.

    Pockets of air differ more from what is around than bones do: the answer is negative where bone
    is bright.
    """
    from scipy import ndimage

    fine, coarse = (ndimage.gaussian_filter(levels, size) for size in POCKET_PX)
    structure = (fine - coarse)[region]
    spread = float(structure.std())
    if spread <= 1e-6:
        return 0.0
    skewness = np.mean(np.clip(structure / spread, -4, 4) ** 3)
    return float(np.tanh(skewness / CLEAR_SKEWNESS))


def _sign_beyond(image: FloatImage, field: BoolImage, blocked: BoolImage) -> float:
    """Return 1 or -1 where a collimator's shadow is brighter or darker than the field.

    A shadow without noise may have been drawn by a computer, in any grey: 0.
    """
    if blocked.sum() < MIN_PIXELS or field.sum() < MIN_PIXELS:
        return 0.0
    values = image[blocked]
    typical, spread = np.median(values), np.ptp(np.quantile(image, [0.01, 0.99]))
    if np.mean(np.abs(values - typical) <= CONSTANT * spread) > 0.5:
        return 0.0
    return float(np.sign(typical - np.median(image[field])))
