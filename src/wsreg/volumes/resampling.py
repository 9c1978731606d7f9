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
from typing import NamedTuple

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.volumes.parts import first_voxel
from wsreg.volumes.volume import Volume

SLAB_VOXELS = 2**21
"""Voxels converted to float32 at a time, which bounds the memory taken."""


def resample_isotropic(
    volume: Volume, spacing_mm: float, *, cut_from: Volume | None = None
) -> Volume:
    """Resample the CT on cubes with the same axes and the same centre, covering all of it.

    It averages attenuation, so padding below air counts as air, and rounds the result to whole
    Hounsfield units (int16, at most 32767); every voxel above -1000 HU then attenuates, so that
    half-filled voxels at a surface keep their part.  Labels are taken from the nearest voxel.
    Where the grid reaches beyond the CT (by less than half a new voxel) there is air.

    Args:
        volume: the CT, or a part cut out of one, with air around it.
        spacing_mm: edge of the cubes.
        cut_from: of what the volume is a part: the cubes are those of this one, as many as the
            part reaches into.

    Raises:
        InputError: the spacing is not a positive number.
    """
    if not (math.isfinite(spacing_mm) and spacing_mm > 0):
        raise InputError(f"spacing_mm must be positive and finite, got {spacing_mm!r}")
    whole = cut_from or volume
    first = (0, 0, 0) if cut_from is None else first_voxel(volume, whole)
    axes = [
        _resampled_axis(*axis, spacing_mm)
        for axis in zip(
            whole.hu.shape, reversed(whole.spacing_mm), first, volume.hu.shape, strict=True
        )
    ]
    labels = volume.labels
    if labels is not None:
        z, y, x = (axis.nearest for axis in axes)
        labels = labels[z][:, y][:, :, x]
    return dataclasses.replace(
        volume,
        hu=_average(volume, [axis.averaging for axis in axes]),
        ct_from_voxel=whole.ct_from_voxel @ _old_from_new_voxel(axes),
        labels=labels,
        air_hu=-1000.0,
    )


class _Axis(NamedTuple):
    """One axis of a grid, resampled.

    Args:
        averaging: [n_new, n_old] float32 weights.
        nearest: [n_new] the old voxel nearest to each new one.
        start, ratio: where the first new voxel lies in the whole's old ones, and the steps.
    """

    averaging: Tensor
    nearest: Tensor
    start: float
    ratio: float


def _resampled_axis(n_whole: int, old_mm: float, first: int, n_part: int, new_mm: float) -> _Axis:
    """Return how to resample ``n_part`` voxels from ``first`` on, of an axis of ``n_whole``."""
    ratio = new_mm / old_mm
    # a grid that fits but for rounding must not get another layer of air
    n_new = math.ceil(n_whole / ratio - 1e-6)
    averaging = _averaging_matrix(n_whole, n_new, ratio)
    nearest = _nearest_index(n_whole, n_new, ratio)
    if (first, n_part) != (0, n_whole):
        # of a part with air around it, what lies beyond the whole's border counts nothing
        beyond = (max(-first, 0), max(first + n_part - n_whole, 0))
        columns = averaging[:, max(first, 0) : first + n_part]
        averaging = torch.nn.functional.pad(columns, beyond)
    reached = averaging.any(dim=1).nonzero()[:, 0]
    chosen = slice(int(reached[0]), int(reached[-1]) + 1)
    centres = _cell_centres(n_whole, n_new, ratio)
    return _Axis(
        averaging=averaging[chosen],
        nearest=(nearest[chosen] - first).clamp(0, n_part - 1),
        start=float(centres[chosen][0]),
        ratio=ratio,
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


def _old_from_new_voxel(axes_zyx: Sequence[_Axis]) -> Tensor:
    """Return [4,4] float64: voxel index (x,y,z) of the new grid -> that of the whole's old grid."""
    matrix = torch.eye(4, dtype=torch.float64)
    for row, axis in enumerate(reversed(axes_zyx)):
        matrix[row, row] = axis.ratio
        matrix[row, 3] = axis.start
    return matrix
