"""Tell whether voxels can be Hounsfield units: by where the peaks of their histogram lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.volumes.grey_scale import Peak, histogram_peaks, sample_blocks

LOWEST_AIR_HU, HIGHEST_AIR_HU = -1100.0, -880.0
"""Between these lies the peak of air; below them nothing but padding."""

LUNG_HU = -700.0
"""Peaks above may be tissue."""

TISSUE_HU = (-300.0, 600.0)
"""In a picture with air some tissue has its peak here: bones alone, foam and fat included."""

SOFT_HU, BONE_HU = (-200.0, 200.0), 450.0
"""In a picture without air soft tissue has its peak here, spongy bone up to the latter."""

HIGH_HU = 500.0
"""Peaks above are dense bone or metal."""

_MOST_HIGH = 0.4
"""Voxels in high peaks, as a multiple of all others, in a picture without air."""

_LEAST_PART = 0.1
"""Voxels in a peak, as a multiple of those in the largest, that are not its slope."""

_MOST_BELOW_AIR = 0.1
"""Fraction of voxels below air, besides one value for padding, that noise explains."""

_LEAST_TISSUE = 1e-4
"""Fraction of voxels denser than lungs, or the picture shows nothing."""

_FEWEST = 500
"""Fewer voxels tell no peaks."""


def hounsfield_doubt(voxels: NDArray[Any]) -> str:
    """Return why voxels [D,H,W] cannot be Hounsfield units, or "" where they can be.

    Only what cannot be is told: with air its peak is near -1000 and that of some tissue is not far
    from 0; a picture that the body fills has no air, but then most of it is soft tissue.  One value
    below -1024 is padding.
    """
    blocks = sample_blocks(voxels, padding_below=-1024.0)
    if blocks.size < _FEWEST:
        return ""
    if (blocks < LOWEST_AIR_HU).mean() > _MOST_BELOW_AIR:
        return f"{(blocks < LOWEST_AIR_HU).mean():.0%} of its voxels are below air (-1000)"
    if (blocks > TISSUE_HU[0]).mean() < _LEAST_TISSUE:
        return "none of its voxels are as dense as a body (fat -100, muscle 40)"
    low, high = (float(q) for q in np.quantile(blocks, (1e-3, 1 - 1e-3)))
    peaks = histogram_peaks(blocks, low, high) if low < high else []
    if any(LOWEST_AIR_HU <= peak.grey <= HIGHEST_AIR_HU for peak in peaks):
        large = _large([peak for peak in peaks if peak.grey > LUNG_HU])
        return "" if not large or _any_within(large, TISSUE_HU) else _told(peaks)
    return "" if not peaks or _may_lack_air(peaks) else _told(peaks)


def _may_lack_air(peaks: list[Peak]) -> bool:
    """Tell whether these can be the peaks of a body that fills the picture."""
    high = sum(peak.mass for peak in peaks if peak.grey > HIGH_HU)
    if high > _MOST_HIGH * sum(peak.mass for peak in peaks if peak.grey <= HIGH_HU):
        return False
    large = _large(peaks)
    lungs = any(peak.grey < TISSUE_HU[0] for peak in large)
    return _any_within(large, SOFT_HU if lungs else (SOFT_HU[0], BONE_HU))


def _large(peaks: list[Peak]) -> list[Peak]:
    """Return the peaks that are not merely a slope of a larger one."""
    main = max((peak.mass for peak in peaks), default=0.0)
    return [peak for peak in peaks if peak.mass >= _LEAST_PART * main]


def _any_within(peaks: list[Peak], reach: tuple[float, float]) -> bool:
    return any(reach[0] <= peak.grey <= reach[1] for peak in peaks)


def _told(peaks: list[Peak]) -> str:
    main = sorted(sorted(peaks, key=lambda peak: -peak.mass)[:3])
    return f"its histogram has peaks at {', '.join(f'{peak.grey:.4g}' for peak in main)}"
