"""Grey values of a cone-beam CT brought to Hounsfield units by two of them: air's and water's.

A cone-beam CT has a scale of its own, linear to attenuation at best.  Its two commonest contents,
air and soft tissue, tell the scale, or the user does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError

AIR_HU, SOFT_TISSUE_HU = -1000.0, 40.0
"""What the two peaks of the histogram are: muscle and most organs lie near the latter."""

_MOST_BINS = 400
_MOST_SAMPLES = 2_000_000
_FEWEST_BLOCKS = 2000
_OUTLIERS = 1e-3
"""Fraction of voxels at each end, such as metal and streaks, that do not set the range."""

_LEAST_MASS = 0.01
"""Fraction of all voxels in a peak, or it is none."""

_LEAST_RISE = 1.3
"""Height of a peak over the valleys beside it, or it is none."""

_LEAST_APART = 0.2
"""Distance of air and soft tissue as a fraction of the range: fat and muscle are closer."""

_MUSCLE_MASS = 0.3
"""Part of the main peak above air that a higher one must have to be soft tissue: the main one
may be fat, but bone is never as much."""

_MOST_BETWEEN = 4.0
"""Voxels in peaks between air and soft tissue (lungs, fat), as a multiple of its."""

_BEYOND, _LEAST_BONE = 0.2, 0.003
"""How far beyond soft tissue bone lies, as a multiple of its distance from air, and the least
fraction of voxels that are bone."""

_AIR_BELOW = 0.7
"""Part of the way from padding to soft tissue below which air lies; fat lies at 0.87 from air."""

_LEAST_PADDING = 0.05
"""Fraction of all voxels that have one value below air outside a round field."""

_PADDING_MASS, _PADDING_PART = 0.02, 0.5
"""Fraction of all voxels, and part of the lowest peak, that one value has if it is padding."""


class Peak(NamedTuple):
    """A peak of the histogram: its place, the valleys beside it, the fraction of voxels between."""

    grey: float
    low: float
    high: float
    mass: float


def to_hounsfield(
    voxels: NDArray[Any], scale: tuple[float, float] | None, source: object
) -> tuple[NDArray[np.int16], str]:
    """Return Hounsfield units [D,H,W], from -1000 up, and a sentence on the scale that was taken.

    Args:
        voxels: [D,H,W] grey values that grow with attenuation.
        scale: the grey values of air and of water; None looks for them in the histogram.
        source: the file, for messages.

    Raises:
        InputError: a scale that does not rise, or a histogram without two peaks.
    """
    if scale is None:
        air, soft_tissue = _peaks(voxels, source)
        per_grey = (SOFT_TISSUE_HU - AIR_HU) / (soft_tissue - air)
        note = (
            f"Grey values were scaled to Hounsfield units by their histogram: {air:.4g} is air "
            f"({AIR_HU:g} HU), {soft_tissue:.4g} soft tissue ({SOFT_TISSUE_HU:g} HU)."
        )
    else:
        air, water = scale
        if not (np.isfinite(scale).all() and air < water):
            raise InputError(
                f"the grey value of air must be below that of water, got {air}, {water}"
            )
        per_grey = -AIR_HU / (water - air)
        note = (
            f"Grey values were scaled to Hounsfield units as asked: {air:g} is air, "
            f"{water:g} water."
        )
    hu = voxels.astype(np.float32)
    hu -= air
    hu *= per_grey
    hu += AIR_HU
    return np.clip(np.rint(hu), AIR_HU, np.iinfo(np.int16).max).astype(np.int16), note


def _peaks(voxels: NDArray[Any], source: object) -> tuple[float, float]:
    """Return the grey values of air, the lowest peak, and of soft tissue, the main one above."""
    sample = sample_blocks(voxels)  # with padding, which may have the grey value of air
    low, high = (float(q) for q in np.quantile(sample, (_OUTLIERS, 1 - _OUTLIERS)))
    peaks = histogram_peaks(sample, low, high) if low < high else []
    tissue = [peak for peak in peaks if peak.grey - peaks[0].grey > _LEAST_APART * (high - low)]
    main = max((peak.mass for peak in tissue), default=0.0)
    soft_tissue = max((peak for peak in tissue if peak.mass >= _MUSCLE_MASS * main), default=None)
    air = _air(voxels, peaks, soft_tissue.grey) if soft_tissue is not None else 0.0
    between = [
        peak.mass
        for peak in peaks
        if soft_tissue is not None and air < peak.grey < soft_tissue.grey
    ]
    if soft_tissue is None or sum(between) > _MOST_BETWEEN * soft_tissue.mass:
        raise InputError(
            f"{source} must show air and soft tissue as two peaks of its histogram, far apart, got "
            f"{len(peaks)} peaks between {low:.4g} and {high:.4g}; give the grey values of air and "
            "water with --ct-scale AIR WATER (scale)"
        )
    _check_rises(voxels, air, soft_tissue.grey, source)
    return air, soft_tissue.grey


def _check_rises(voxels: NDArray[Any], air: float, soft_tissue: float, source: object) -> None:
    """Refuse greys that fall with attenuation: bone is then below the lowest peak."""
    beyond = _BEYOND * (soft_tissue - air)
    sample = sample_blocks(voxels, padding_below=air - beyond)
    below, above = (sample < air - beyond).mean(), (sample > soft_tissue + beyond).mean()
    if below > max(_LEAST_BONE, above):
        raise InputError(
            f"{source} must have grey values that grow with attenuation, but they seem inverted: "
            f"{below:.1%} lie far below the peak at {air:.4g} and {above:.1%} far above that at "
            f"{soft_tissue:.4g}; give the grey values of air and water with --ct-scale AIR WATER "
            "(scale) if they are not"
        )


def sample_blocks(voxels: NDArray[Any], padding_below: float | None = None) -> NDArray[Any]:
    """Return [N] means of 2 x 2 x 2 voxels, in which noise hides fewer peaks, a part of many.

    Args:
        voxels: [D,H,W]; of few the voxels themselves are returned.
        padding_below: the commonest value below this is padding, if it is common: blocks with it
            are left out.
    """
    if voxels.size < 8 * _FEWEST_BLOCKS:
        every, edge = 1, 1
    else:
        every, edge = 2 * max(1, round(voxels.size / (8 * _MOST_SAMPLES))), 2
    depth, height, width = (n - n % edge for n in voxels.shape)
    padding = None if padding_below is None else _commonest_below(voxels[::every], padding_below)
    means = []
    for z in range(0, depth, every):
        slab = voxels[z : z + edge, :height, :width]
        blocks = slab.reshape(edge, height // edge, edge, width // edge, edge)
        mean = blocks.mean(axis=(0, 2, 4), dtype=np.float64)
        means.append(mean if padding is None else mean[(blocks != padding).all(axis=(0, 2, 4))])
    return np.concatenate(means, axis=None)


def _commonest_below(voxels: NDArray[Any], limit: float) -> float | None:
    numbers, counts = np.unique(voxels[voxels < limit], return_counts=True)
    if not counts.size or counts.max() < _LEAST_PADDING * voxels.size:
        return None
    return float(numbers[counts.argmax()])


def histogram_peaks(sample: NDArray[Any], low: float, high: float) -> list[Peak]:
    """Return the peaks in ascending order."""
    bins = min(_MOST_BINS, max(8, int(sample.size**0.5)))
    step = (high - low) / (bins - 1)
    reach = (low - step / 2, high + step / 2)
    counts, edges = np.histogram(sample, bins, reach)
    sums = np.histogram(sample, bins, reach, weights=sample)[0]
    smooth = counts.astype(np.float64)
    for _ in range(3):
        smooth = np.convolve(smooth, [1 / 3, 1 / 3, 1 / 3], mode="same")
    tops, valleys = _tops(smooth)
    found = []
    for top, first, last in zip(tops, valleys[:-1], valleys[1:], strict=True):
        near = slice(max(first, top - 2), min(last, top + 3))
        mass = counts[first:last].sum() / sample.size
        if mass >= _LEAST_MASS and counts[near].any():
            grey = float(sums[near].sum() / counts[near].sum())
            found.append(Peak(grey, float(edges[first]), float(edges[last]), float(mass)))
    return found


def _tops(smooth: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Return the bins of maxima, and the first bin of each one's part of the histogram and the end.

    A maximum that hardly rises over the valley between it and the next is part of that one.
    """
    tops: list[int] = []
    valleys = [0]
    for place in range(len(smooth)):
        before = smooth[place - 1] if place else -1.0
        after = smooth[place + 1] if place + 1 < len(smooth) else -1.0
        if not (smooth[place] > before and smooth[place] >= after):
            continue
        if not tops:
            tops.append(place)
            continue
        valley = tops[-1] + int(smooth[tops[-1] : place].argmin())
        if smooth[tops[-1]] < _LEAST_RISE * smooth[valley]:
            if smooth[place] > smooth[tops[-1]]:
                tops[-1] = place
        elif smooth[place] >= _LEAST_RISE * smooth[valley]:
            tops.append(place)
            valleys.append(valley)
    return tops, [*valleys, len(smooth)]


def _air(voxels: NDArray[Any], peaks: list[Peak], soft_tissue: float) -> float:
    """Return the grey value of air: the lowest peak, or, where that is padding, the one beside it.

    Outside a round field all voxels have one value, and what lies beside them is air.  Beside air
    lies skin, for lungs lie deep within.
    """
    lowest = peaks[0]
    inside = voxels[(voxels >= lowest.low) & (voxels < lowest.high)]
    numbers, counts = np.unique(inside[:: max(1, inside.size // 100_000)], return_counts=True)
    if not counts.size:
        return lowest.grey
    alike = voxels == numbers[counts.argmax()]
    if alike.mean() < max(_PADDING_MASS, _PADDING_PART * lowest.mass):
        return lowest.grey
    beside = voxels[..., 2:][alike[..., :-2] & ~alike[..., 1:-1] & ~alike[..., 2:]]
    highest = lowest.grey + _AIR_BELOW * (soft_tissue - lowest.grey)
    for peak in peaks[1:]:
        within = (beside >= peak.low) & (beside < peak.high)
        if peak.grey < highest and np.count_nonzero(within) > beside.size / 2:
            return peak.grey
    return lowest.grey
