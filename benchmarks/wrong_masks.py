"""Masks of bones in an X-ray as people and networks get them wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter
from torch import Tensor

BLOB_FRACTION = 0.12
"""Of the image's longer side: how large random blobs and holes are."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Masks:
    """Masks of one X-ray.

    Args:
        names: of the R regions.
        masks: [R,H,W] bool.
        pixels_per_mm: at the depth of the bones.
        others: [R,H,W] bool, those of another X-ray of the patient.
        seed: of what is random.
    """

    names: tuple[str, ...]
    masks: Tensor
    pixels_per_mm: float
    others: Tensor
    seed: int


def good(m: Masks) -> Tensor:
    """The silhouettes of the bones."""
    return m.masks


def eroded(m: Masks) -> Tensor:
    """Too small, by 3 mm on every side."""
    return _each(m.masks, lambda a: binary_erosion(a, iterations=round(3 * m.pixels_per_mm)))


def dilated(m: Masks) -> Tensor:
    """Too large, by 3 mm on every side."""
    return _each(m.masks, lambda a: binary_dilation(a, iterations=round(3 * m.pixels_per_mm)))


def shifted(mm: float) -> Callable[[Masks], Tensor]:
    """All of them so far beside the bones."""

    def make(m: Masks) -> Tensor:
        step = round(mm * m.pixels_per_mm / 2**0.5)
        return m.masks.roll((step, -step), dims=(-2, -1))

    return make


def one_missing(m: Masks) -> Tensor:
    """One bone is not there."""
    masks = m.masks.clone()
    masks[0] = False
    return masks


def one_elsewhere(m: Masks) -> Tensor:
    """One bone is 60 mm beside where it is."""
    masks = m.masks.clone()
    masks[0] = masks[0].roll(round(60 * m.pixels_per_mm), dims=-1)
    return masks


def two_exchanged(m: Masks) -> Tensor:
    """Two bones of one side have each other's masks."""
    side = [n for n, name in enumerate(m.names) if "left" in name]
    return _exchanged(m.masks, [(side[0], side[1])])


def sides_exchanged(m: Masks) -> Tensor:
    """Left is called right."""
    pairs = [
        (n, m.names.index(name.replace("left", "right")))
        for n, name in enumerate(m.names)
        if name.replace("left", "right") in m.names and "left" in name
    ]
    return _exchanged(m.masks, pairs)


def blobs(m: Masks) -> Tensor:
    """Anything at all."""
    generator = np.random.default_rng(m.seed)
    shape = tuple(m.masks.shape[1:])
    sigma = BLOB_FRACTION * max(shape) / 2
    fields = [
        gaussian_filter(generator.normal(size=shape), sigma, mode="wrap")
        for _ in range(len(m.masks))
    ]
    return torch.from_numpy(np.stack([f > np.quantile(f, 0.9) for f in fields]))


def one_alone(m: Masks) -> Tensor:
    """All are empty but the first, which is the second's."""
    masks = torch.zeros_like(m.masks)
    masks[0] = m.masks[1]
    return masks


def mirrored(m: Masks) -> Tensor:
    """Of the image as its mirror shows it."""
    return m.masks.flip(-1)


def of_another(m: Masks) -> Tensor:
    """Of another X-ray of the patient."""
    return m.others


def with_holes(m: Masks) -> Tensor:
    """As a poor network has them: holes in each, and pieces elsewhere, of one scale."""
    generator = np.random.default_rng(m.seed)
    shape = tuple(m.masks.shape[1:])
    out = []
    for mask in m.masks.numpy():
        noise = gaussian_filter(generator.normal(size=shape), BLOB_FRACTION * max(shape) / 3)
        holes = noise > np.quantile(noise, 0.7)
        pieces = noise < np.quantile(noise, 0.06)
        out.append((mask & ~holes) | pieces)
    return torch.from_numpy(np.stack(out))


WRONG: Mapping[str, Callable[[Masks], Tensor]] = {
    "good": good,
    "too small by 3 mm": eroded,
    "too large by 3 mm": dilated,
    "shifted by 5 mm": shifted(5.0),
    "shifted by 20 mm": shifted(20.0),
    "one missing": one_missing,
    "one 60 mm beside": one_elsewhere,
    "two exchanged": two_exchanged,
    "left and right exchanged": sides_exchanged,
    "random blobs": blobs,
    "one alone, another bone's": one_alone,
    "mirrored": mirrored,
    "of another X-ray": of_another,
    "holes and pieces": with_holes,
}


def _each(masks: Tensor, change: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack([change(mask) for mask in masks.numpy()]))


def _exchanged(masks: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    order = list(range(len(masks)))
    for a, b in pairs:
        order[a], order[b] = order[b], order[a]
    return masks[order]
