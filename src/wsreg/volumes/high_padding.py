"""Padding outside a round field that no header declares, with a value denser than any tissue."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

AIR_HU = -1000

LEAST_HU = 2000.0
"""Equal values from here on in the corners of slices are no part of a patient."""

MOST = 0.5
"""Of the corners of all slices so many must have the value, and of a column along the slices."""


def without_high_padding(voxels: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Return the voxels [D,H,W] with such padding turned into air, and a sentence on it or "".

    Slices may be stacked along any axis.  Saturated metal with the same value stays what it is
    unless it runs through most slices.
    """
    share, axis, value = max(_corners(np.moveaxis(voxels, axis, 0), axis) for axis in range(3))
    if value < LEAST_HU or share <= MOST:
        return voxels, ""
    slices = np.moveaxis(voxels, axis, 0)
    padding = slices == value
    padding &= padding.mean(axis=0) > MOST
    filled = np.moveaxis(np.where(padding, slices.dtype.type(AIR_HU), slices), 0, axis)
    return np.ascontiguousarray(filled), (
        f"Warning: {padding.mean():.1%} of the voxels have the value {value:g} as most "
        "corners of the slices have, which is denser than a patient; they were taken for "
        "padding outside a round field, that is for air."
    )


def _corners(slices: NDArray[Any], axis: int) -> tuple[float, int, float]:
    """Return the share of the commonest value in the corners of slices, their axis, the value."""
    corners = slices[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    numbers, counts = np.unique(corners, return_counts=True)
    return float(counts.max() / corners.size), axis, float(numbers[counts.argmax()])
