"""Masks of structures merged into one label map."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError

MOST_OVERLAP = 0.01
"""Fraction of the smaller of two structures up to which an overlap is an error of their edges."""

NAMES_LISTED = 6


class Mask(NamedTuple):
    """Where a structure is.

    Args:
        name: of the structure.
        value: that it has in the label map.
        voxels: [D,H,W] bool.
    """

    name: str
    value: int
    voxels: NDArray[np.bool_]


def merged_masks(
    masks: Iterable[Mask], shape: tuple[int, ...], source: object
) -> tuple[NDArray[Any], list[str]]:
    """Return [D,H,W] uint8 or int16 labels, and sentences on what was settled.

    Where two structures overlap by a few voxels, the smaller one has them.

    Raises:
        InputError: two structures overlap by more.
    """
    labels: NDArray[Any] = np.zeros(shape, np.int16)
    sizes: dict[int, int] = {}
    names: dict[int, str] = {}
    empty: list[str] = []
    settled = []
    for mask in masks:
        size = int(np.count_nonzero(mask.voxels))
        if not size:
            empty.append(mask.name)
            continue
        before = np.bincount(labels[mask.voxels])
        won = mask.voxels
        for other in (before[1:].nonzero()[0] + 1).tolist():
            _check_overlap(
                int(before[other]), size, sizes[other], (mask.name, names[other]), source
            )
            settled.append(f"{names[other]} and {mask.name} ({before[other]})")
            if sizes[other] <= size:
                won = won & (labels != other)
        labels[won] = mask.value
        sizes[mask.value], names[mask.value] = size, mask.name
    notes = []
    if settled:
        notes.append(
            f"Structures that overlap by a few voxels: {_listed(settled)}; the smaller has them."
        )
    if empty:
        notes.append(f"Structures without a voxel were left out: {_listed(empty)}.")
    return (labels.astype(np.uint8) if max(sizes, default=0) <= 255 else labels), notes


def _check_overlap(
    common: int, size: int, other: int, names: tuple[str, str], source: object
) -> None:
    smaller = min(size, other)
    if common > MOST_OVERLAP * smaller:
        raise InputError(
            f"{source} must hold structures that do not overlap, {names[1]} and {names[0]} share "
            f"{common} voxels, {common / smaller:.0%} of the smaller one; export one label map, or "
            "leave one of them out"
        )


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_LISTED
    return ", ".join(names[:NAMES_LISTED]) + (f", and {more} more" if more > 0 else "")
