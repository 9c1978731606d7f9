"""Isotropic grids for rendering: a CT resampled along its own axes, about its own centre.

A new voxel is the mean of the linearly interpolated CT over that voxel's box.  This one rule is
exact for linear ramps, moves no mass (the attenuation of a body and where its centre lies stay what
they were), smooths just enough not to alias when the grid gets coarser, and interpolates when it
gets finer.  It separates into one small matrix per axis.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.volumes.volume import Volume

SLAB_VOXELS = 2**21
"""Voxels converted to float32 at a time, which bounds the memory taken."""


def resample_isotropic(volume: Volume, spacing_mm: float) -> Volume:
    """Resample the CT on cubes with the same axes and the same centre, covering all of it.

    It averages attenuation, so padding below air counts as air, and rounds the result to whole
    Hounsfield units (int16, at most 32767); every voxel above -1000 HU then attenuates, so that
    half-filled voxels at a surface keep their part.  Labels are taken from the nearest voxel.
    Where the grid reaches beyond the CT (by less than half a new voxel) there is air.

    Raises:
        InputError: the spacing is not a positive number.
    """
    if not (math.isfinite(spacing_mm) and spacing_mm > 0):
        raise InputError(f"spacing_mm must be positive and finite, got {spacing_mm!r}")
    ratios = [spacing_mm / spacing for spacing in reversed(volume.spacing_mm)]
    # a grid that fits but for rounding must not get another layer of air
    counts = [math.ceil(n / r - 1e-6) for n, r in zip(volume.hu.shape, ratios, strict=True)]
    axes = list(zip(volume.hu.shape, counts, ratios, strict=True))
    labels = volume.labels
    if labels is not None:
        z, y, x = (_nearest_index(*axis) for axis in axes)
        labels = labels[z][:, y][:, :, x]
    return dataclasses.replace(
        volume,
        hu=_average(volume, [_averaging_matrix(*axis) for axis in axes]),
        ct_from_voxel=volume.ct_from_voxel @ _old_from_new_voxel(axes),
        labels=labels,
        air_hu=-1000.0,
    )


def _cell_centres(n_old: int, n_new: int, ratio: float) -> Tensor:
    """Return [n_new] float64 positions of the new voxels, in old voxel indices."""
    new = torch.arange(n_new, dtype=torch.float64)
    return (n_old - 1) / 2 + (new - (n_new - 1) / 2) * ratio


def _averaging_matrix(n_old: int, n_new: int, ratio: float) -> Tensor:
    """Return [n_new, n_old] float32: means over cells of the linear interpolant, air outside."""
    centres = _cell_centres(n_old, n_new, ratio)
    starts, ends = (
        (centres + side * ratio / 2).clamp(-0.5, n_old - 0.5)[:, None] for side in (-1, 1)
    )
    # one more voxel at each side, so that the outer half voxels repeat the edge instead of fading
    old = torch.arange(-1, n_old + 1, dtype=torch.float64)
    weights = (_hat_integral(ends - old) - _hat_integral(starts - old)) / ratio
    weights[:, 1] += weights[:, 0]
    weights[:, -2] += weights[:, -1]
    return weights[:, 1:-1].to(torch.float32)


def _hat_integral(x: Tensor) -> Tensor:
    """Integrate max(0, 1 - |x|), the weight of linear interpolation, from -infinity to x."""
    x = x.clamp(-1.0, 1.0)
    return 0.5 + x - 0.5 * x * x.abs()


def _nearest_index(n_old: int, n_new: int, ratio: float) -> Tensor:
    """Return [n_new] nearest old voxels; ties go down and up in turn: labels do not shift."""
    centres = _cell_centres(n_old, n_new, ratio)
    even = torch.arange(n_new) % 2 == 0
    nearest = torch.where(even, torch.ceil(centres - 0.5), torch.floor(centres + 0.5))
    return nearest.long().clamp(0, n_old - 1)


def _average(volume: Volume, matrices_zyx: Sequence[Tensor]) -> Tensor:
    """Return [D',H',W'] int16 Hounsfield units, averaged in attenuation."""
    along_z, along_y, along_x = matrices_zyx
    slices_per_slab = max(1, SLAB_VOXELS // volume.hu[0].numel())
    slabs = [
        torch.matmul(along_y, torch.matmul(_above_air(slab, volume.air_hu), along_x.T))
        for slab in torch.split(volume.hu, slices_per_slab)
    ]
    stack = torch.cat(slabs)
    averaged = torch.matmul(along_z, stack.flatten(1)).reshape(-1, *stack.shape[1:])
    highest = torch.iinfo(torch.int16).max
    return averaged.sub_(1000.0).round_().clamp_(max=highest).to(torch.int16)


def _above_air(hu: Tensor, air_hu: float) -> Tensor:
    """Return float32, proportional to the attenuation: 0 in air, 1000 in water."""
    return hu.to(torch.float32, copy=True).add_(1000.0).masked_fill_(hu <= air_hu, 0.0)


def _old_from_new_voxel(axes_zyx: Sequence[tuple[int, int, float]]) -> Tensor:
    """Return [4,4] float64: voxel index (x,y,z) of the new grid -> that of the old grid."""
    matrix = torch.eye(4, dtype=torch.float64)
    for row, (n_old, n_new, ratio) in enumerate(reversed(axes_zyx)):
        matrix[row, row] = ratio
        matrix[row, 3] = (n_old - 1) / 2 - (n_new - 1) / 2 * ratio
    return matrix
