"""A finer grid for a CT by cubic splines, so that simulation and registration see other voxels.

On the CT's own grid any two good projectors agree to a few millionths, and registering an X-ray
made there would be an inverse crime.  Planes of the finer grid lie between the original ones.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from wsreg.volumes.volume import Volume

VACUUM_HU = -1000.0


def refine(volume: Volume, spacing_mm: float) -> Volume:
    """Split voxels longer than ``spacing_mm`` into equal parts, along each axis on its own.

    Args:
        volume: the CT; its padding below air is raised to air, and labels are left out.
        spacing_mm: longest voxel side afterwards.

    Returns:
        A volume over the same extent, float32.
    """
    hu = volume.hu.to(torch.float32).clamp(min=VACUUM_HU)
    old_from_new = torch.eye(4, dtype=torch.float64)
    for axis, side_mm in enumerate(volume.spacing_mm):
        parts = math.ceil(side_mm / spacing_mm - 1e-6)
        if parts > 1:
            hu = _split_axis(hu, 2 - axis, parts)
            old_from_new[axis, axis] = 1.0 / parts
            old_from_new[axis, 3] = 0.5 / parts - 0.5
    return dataclasses.replace(
        volume, hu=hu, labels=None, ct_from_voxel=volume.ct_from_voxel @ old_from_new
    )


def _split_axis(hu: Tensor, dim: int, parts: int) -> Tensor:
    """Read the cubic spline along one dimension at the centres of each voxel's parts."""
    weights = _spline_matrix(hu.shape[dim], parts)
    split: Tensor = torch.tensordot(hu.movedim(dim, -1), weights, dims=([-1], [1]))
    return split.movedim(-1, dim)


def _spline_matrix(size: int, parts: int) -> Tensor:
    """Return [size*parts,size] float32: new samples as weighted sums of the old ones."""
    from scipy.interpolate import make_interp_spline

    centres = (np.arange(size * parts) + 0.5) / parts - 0.5
    inside = np.clip(centres, 0.0, size - 1.0)  # the outer half voxels hold their value
    degree = min(3, size - 1)
    spline = make_interp_spline(np.arange(size), np.eye(size), k=degree)
    weights: Tensor = torch.from_numpy(spline(inside))
    return weights.to(torch.float32)
