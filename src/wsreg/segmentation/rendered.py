"""Regions of interest of a CT as they project: soft masks with exact pose derivatives.

Where a ray runs L mm inside a region's labels, 1 - exp(-k L) is the probability that the region is
seen there: 0 beside it, nearly 1 within it, and smooth at its edge, where L falls to zero.  No
network, and the derivative with respect to the pose comes from the same march as L.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.rendering.render import render
from wsreg.vocabulary import Backend
from wsreg.volumes.volume import Volume

SHARPNESS = 1.0
"""k times the longest side of a voxel.  Measured: within 0.002 of the best Dice with exact
silhouettes on voxels of 1.5, 3 and 6 mm alike."""


def sharpness_per_mm(volume: Volume) -> float:
    """Return k for the voxels of a volume."""
    return SHARPNESS / max(volume.spacing_mm)


def soft_masks(lengths_mm: Tensor, sharpness_per_mm: float) -> Tensor:
    """Return 1 - exp(-k L) of path lengths of any shape; differentiable."""
    return -torch.expm1(-sharpness_per_mm * lengths_mm)


def rendered_rois(
    volume: Volume,
    camera: Camera,
    camera_from_ct: Tensor,
    labels: Sequence[Sequence[int]],
    *,
    backend: Backend = "auto",
) -> Tensor:
    """Return [B,R,H,W] soft masks of R groups of labels at poses [B,4,4], differentiable."""
    lengths = render(
        volume,
        camera,
        camera_from_ct,
        rois=labels,
        attenuation=False,
        backend=backend,
        any_pose=True,
    )
    return soft_masks(lengths, sharpness_per_mm(volume))
