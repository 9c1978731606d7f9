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
"""What the two peaks of the histogram are: muscle and most organs lie within 20 HU of the latter."""

_BINS = 400
_MOST_SAMPLES = 2_000_000
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

_PADDING_MASS = 0.02


class _Peak(NamedTuple):
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
        note = f"Grey values were scaled to Hounsfield units as asked: {air:g} is air, {water:g} water."
    hu = voxels.astype(np.float32)
    hu -= air
    hu *= per_grey
    hu += AIR_HU
    return np.clip(np.rint(hu), AIR_HU, np.iinfo(np.int16).max).astype(np.int16), note


def _peaks(voxels: NDArray[Any], source: object) -> tuple[float, float]:
    """Return the grey values of air, the lowest peak, and of soft tissue, the main one far above."""
    sample = voxels.ravel()[:: max(1, voxels.size // _MOST_SAMPLES)]
    low, high = (float(q) for q in np.quantile(sample, (_OUTLIERS, 1 - _OUTLIERS)))
    peaks = _histogram_peaks(sample, low, high) if low < high else []
    if len(peaks) > 2 and _is_padding(voxels, peaks[0], peaks[1]):
        peaks = peaks[1:]
    tissue = [peak for peak in peaks if peak.grey - peaks[0].grey > _LEAST_APART * (high - low)]
    if not tissue:
        raise InputError(
            f"{source} must show air and soft tissue as two peaks of its histogram, far apart, got "
            f"{len(peaks)} peaks between {low:.4g} and {high:.4g}; give the grey values of air and "
            "water with --ct-scale AIR WATER (scale)"
        )
    main = max(peak.mass for peak in tissue)
    soft_tissue = max(peak.grey for peak in tissue if peak.mass >= _MUSCLE_MASS * main)
    return peaks[0].grey, soft_tissue


def _histogram_peaks(sample: NDArray[Any], low: float, high: float) -> list[_Peak]:
    """Return the peaks in ascending order."""
    whole = sample.dtype.kind in "iu"
    bins = min(_BINS, int(high - low) + 1) if whole else _BINS
    step = (high - low) / max(bins - 1, 1)
    counts, edges = np.histogram(sample, bins, (low - step / 2, high + step / 2))
    smooth = counts.astype(np.float64)
    for _ in range(3):
        smooth = np.convolve(smooth, [1 / 3, 1 / 3, 1 / 3], mode="same")
    centres = (edges[:-1] + edges[1:]) / 2
    tops, valleys = _tops(smooth)
    found = []
    for top, first, last in zip(tops, valleys[:-1], valleys[1:], strict=True):
        near = slice(max(first, top - 2), min(last, top + 3))
        mass = counts[first:last].sum() / sample.size
        if mass >= _LEAST_MASS and counts[near].any():
            grey = float(np.average(centres[near], weights=counts[near]))
            found.append(_Peak(grey, float(edges[first]), float(edges[last]), float(mass)))
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


def _is_padding(voxels: NDArray[Any], lowest: _Peak, second: _Peak) -> bool:
    """Tell whether the lowest peak is what lies outside a round field, and the second one air.

    Padding is a single value, and what lies beside it is air; beside air lies skin, for lungs
    (which would be the second peak) lie deep within.
    """
    padding = voxels.min()
    is_padding = voxels == padding
    if is_padding.mean() < max(_PADDING_MASS, 0.9 * lowest.mass):
        return False
    beside = voxels[..., 2:][is_padding[..., :-2] & ~is_padding[..., 1:-1] & ~is_padding[..., 2:]]
    if not beside.size:
        return False
    in_second = (beside >= second.low) & (beside < second.high)
    return bool(in_second.mean() > 0.5)
