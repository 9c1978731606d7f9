"""Domain randomisation: what makes training images differ, drawn first and applied afterwards.

Ranges follow the ablations of domain randomisation for fluoroscopy: attenuation of each region,
inversion, contrast, gamma, noise, blur, scatter, erasing, collimators and tools.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TURNED_FRACTION = 0.05
"""Of images turned by half a turn."""
INVERTED_FRACTION = 0.05
"""Of the images whose intensities are changed."""
MIRRORED_FRACTION = 0.5


@dataclass(frozen=True, kw_only=True)
class Randomisation:
    """What makes one image differ.

    Args:
        attenuation: factor of each layer (everything else first).
        gamma: exponent of the grey scale.
        noise: standard deviation as a fraction of the grey scale's range.
        blur_px: standard deviation.
        scatter: fraction of a glare that follows the blurred image.
        slope: (column, row) gradient of brightness over the image.
        inverted: whether bright and dark change places.
        mirrored: whether left and right change places, of the image and of its regions' names.
        turn_rad: how far the image is turned in its plane.
        zoom: its magnification.
        shift: (columns, rows) of its way, as fractions.
        collimator: (centre column, centre row, half width, half height) as fractions, round if the
            half height is 0; None for an open field.
        blade: grey behind the collimator.
        boxes: (left, top, right, bottom, grey) as fractions: erased parts.
        rods: (column, row, angle, half width, half length, darkness) as fractions: tools.
        seed: of the noise.
    """

    attenuation: tuple[float, ...]
    gamma: float = 1.0
    noise: float = 0.0
    blur_px: float = 0.0
    scatter: float = 0.0
    slope: tuple[float, float] = (0.0, 0.0)
    inverted: bool = False
    mirrored: bool = False
    turn_rad: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    collimator: tuple[float, float, float, float] | None = None
    blade: float = 4.0
    boxes: tuple[tuple[float, float, float, float, float], ...] = ()
    rods: tuple[tuple[float, float, float, float, float, float], ...] = ()
    seed: int = 0


def sample_randomisation(
    generator: np.random.Generator,
    layers: int,
    augmented_fraction: float = 1.0,
    *,
    turned_fraction: float = TURNED_FRACTION,
    inverted_fraction: float = INVERTED_FRACTION,
) -> Randomisation:
    """Draw what makes an image differ.

    Args:
        generator: to draw from.
        layers: everything else and the regions.
        augmented_fraction: fraction of the images whose intensities are unlike a clean one's; the
            others are only mirrored and moved.
        turned_fraction: fraction of all images that are turned by half a turn.
        inverted_fraction: fraction of the former in which bright and dark change places.
    """
    r = _sample_everything(generator, layers, turned_fraction, inverted_fraction)
    if generator.random() < augmented_fraction:
        return r
    plain = (1.0,) * layers
    return Randomisation(
        attenuation=plain, mirrored=r.mirrored, turn_rad=r.turn_rad, zoom=r.zoom, shift=r.shift
    )


def _sample_everything(
    generator: np.random.Generator, layers: int, turned_fraction: float, inverted_fraction: float
) -> Randomisation:
    uniform = generator.uniform
    factors = np.exp(generator.normal(0.0, 0.35, layers))
    factors[1:] *= uniform(0.7, 2.5)
    collimator = None
    if generator.random() < 0.5:
        half = uniform(0.36, 0.5)
        collimator = (
            uniform(0.45, 0.55), uniform(0.45, 0.55), half,
            0.0 if generator.random() < 0.7 else uniform(0.36, 0.5),
        )  # fmt: skip
    boxes = tuple(
        (left, top, left + uniform(0.05, 0.25), top + uniform(0.05, 0.25), uniform(-1.0, 1.0))
        for left, top in generator.uniform(0.0, 0.9, (_count(generator, 0.3), 2))
    )
    rods = tuple(
        (*generator.uniform(0.1, 0.9, 2), uniform(0.0, np.pi), uniform(0.004, 0.025),
         uniform(0.1, 0.6), uniform(0.3, 2.0))
        for _ in range(_count(generator, 0.3))
    )  # fmt: skip
    return Randomisation(
        attenuation=tuple(np.clip(factors, 0.1, 4.0).tolist()),
        gamma=uniform(0.7, 1.6),
        noise=uniform(0.005, 0.05),
        blur_px=uniform(0.0, 1.5),
        scatter=uniform(0.0, 0.6),
        slope=(generator.normal(0.0, 0.2), generator.normal(0.0, 0.2)),
        inverted=bool(generator.random() < inverted_fraction),
        mirrored=bool(generator.random() < MIRRORED_FRACTION),
        turn_rad=np.pi * (generator.random() < turned_fraction) + np.radians(uniform(-12.0, 12.0)),
        zoom=float(np.exp(generator.normal(0.0, 0.08))),
        shift=(uniform(-0.08, 0.08), uniform(-0.08, 0.08)),
        collimator=collimator,
        blade=(-3.0, 0.0, 4.0)[int(generator.integers(3))],
        boxes=boxes,
        rods=rods,
        seed=int(generator.integers(2**31)),
    )


def mix_layers(layers: Tensor, randomisation: Randomisation) -> Tensor:
    """Return [H,W] float32 attenuation of layers [L,H,W] with factors of their own."""
    factors = torch.tensor(randomisation.attenuation, dtype=torch.float32)
    return torch.einsum("l,lhw->hw", factors, layers.float())


def augment_intensity(image: Tensor, r: Randomisation) -> Tensor:
    """Return [H,W] the image as another detector would show it, from 0 to about 1, unmoved."""
    from torch.nn.functional import interpolate

    rows, columns = image.shape
    low, high = torch.quantile(image[::4, ::4], torch.tensor([0.02, 0.98]))
    grey = ((image - low) / (high - low).clamp(min=1e-6)).clamp(-0.2, 1.5)
    glare = interpolate(
        interpolate(grey[None, None], (6, 6), mode="area"), (rows, columns), mode="bicubic"
    )[0, 0]
    grey = (1.0 - r.scatter) * grey + r.scatter * glare
    grey = grey.clamp(min=0.0) ** r.gamma
    row = torch.linspace(-0.5, 0.5, rows)[:, None]
    column = torch.linspace(-0.5, 0.5, columns)[None, :]
    grey = grey + r.slope[0] * column + r.slope[1] * row
    for x, y, angle, half_width, half_length, darkness in r.rods:
        dx, dy = column + 0.5 - x, row + 0.5 - y
        along = dx * np.cos(angle) + dy * np.sin(angle)
        across = dy * np.cos(angle) - dx * np.sin(angle)
        grey = grey + darkness * ((along.abs() < half_length) & (across.abs() < half_width))
    grey = _blurred(grey, r.blur_px)
    noise = torch.randn(grey.shape, generator=torch.Generator().manual_seed(r.seed))
    grey = grey + r.noise * noise
    if r.inverted:
        grey = 1.0 - grey
    return _erased(grey, r, row + 0.5, column + 0.5)


def augment_geometry(
    image: Tensor, masks: Tensor, valid: Tensor, r: Randomisation, partners: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Mirror, turn, magnify and shift an image [H,W], its masks [R,H,W] and where they are valid.

    What comes in over the border is not valid.  ``partners`` are the indices of the regions that
    a mirror makes of the regions (:func:`mirror_partners`).
    """
    from torch.nn.functional import affine_grid, grid_sample

    cos, sin = np.cos(r.turn_rad) / r.zoom, np.sin(r.turn_rad) / r.zoom
    dx, dy = 2.0 * r.shift[0], 2.0 * r.shift[1]
    there = [[cos, -sin, -cos * dx + sin * dy], [sin, cos, -sin * dx - cos * dy]]
    theta = torch.tensor(there, dtype=torch.float32)[None]
    grid = affine_grid(theta, [1, 1, *image.shape], align_corners=False)
    if r.mirrored:
        twins = list(partners)
        image, masks, valid = image.flip(1), masks[twins].flip(2), valid[twins].flip(2)
    flags = torch.cat((masks, valid))[None].float()
    moved = grid_sample(image[None, None], grid, padding_mode="border", align_corners=False)
    flags = grid_sample(flags, grid, mode="nearest", align_corners=False)[0] > 0.5
    return moved[0, 0], flags[: len(masks)], flags[len(masks) :]


def mirror_partners(names: Sequence[str]) -> tuple[int, ...]:
    """Return the index of each region's mirror image: a left femur's is the right femur.

    A region without a partner is its own.
    """
    swapped = {"left": "right", "right": "left"}
    twins = [re.sub("left|right", lambda side: swapped[side[0]], name) for name in names]
    return tuple(names.index(twin) if twin in names else index for index, twin in enumerate(twins))


def _erased(grey: Tensor, r: Randomisation, row: Tensor, column: Tensor) -> Tensor:
    for left, top, right, bottom, value in r.boxes:
        inside = (column > left) & (column < right) & (row > top) & (row < bottom)
        grey = torch.where(inside, torch.tensor(value), grey)
    return torch.where(open_field(r, len(grey)), grey, torch.tensor(r.blade))


def open_field(r: Randomisation, size_px: int) -> Tensor:
    """Return [S,S] bool: what the collimator leaves open of an image not yet moved."""
    column = torch.linspace(0.0, 1.0, size_px)[None, :]
    row = column.T
    if r.collimator is None:
        return torch.ones(size_px, size_px, dtype=torch.bool)
    x, y, half_width, half_height = r.collimator
    if half_height == 0.0:
        return (column - x) ** 2 + (row - y) ** 2 <= half_width**2
    return ((column - x).abs() <= half_width) & ((row - y).abs() <= half_height)


def _blurred(image: Tensor, sigma_px: float) -> Tensor:
    if sigma_px < 0.2:
        return image
    reach = max(1, round(3 * sigma_px))
    offset = torch.arange(-reach, reach + 1, dtype=image.dtype)
    weights = torch.exp(-0.5 * (offset / sigma_px) ** 2)
    weights = weights / weights.sum()
    padded = torch.nn.functional.pad(image[None, None], (reach,) * 4, mode="replicate")
    across = torch.nn.functional.conv2d(padded, weights[None, None, None, :])
    blurred: Tensor = torch.nn.functional.conv2d(across, weights[None, None, :, None])[0, 0]
    return blurred


def _count(generator: np.random.Generator, fraction: float) -> int:
    """Draw how many there are of something that a fraction of the images has: mostly one."""
    return int(generator.integers(1, 3)) if generator.random() < fraction else 0
