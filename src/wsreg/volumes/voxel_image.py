"""What every reader returns: voxels and where they lie, whatever the voxels mean."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError

SMALLEST_RELATIVE_DETERMINANT = 1e-4
"""|det| over the product of the voxel's edges: 1 for orthogonal axes, 0 for axes in one plane."""


class VoxelImage(NamedTuple):
    """A 3D image as stored.

    Args:
        voxels: [D,H,W] = (z,y,x) numbers, C-contiguous.
        ct_from_voxel: [4,4] float64 affine, voxel index (x,y,z) -> LPS patient millimetres.
        notes: sentences on what was assumed or left out.
    """

    voxels: NDArray[Any]
    ct_from_voxel: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def check_is_3d(size_xyz: tuple[int, ...], source: object) -> None:
    """Raise InputError unless the size (x,y,z, then only ones) is that of a 3D image."""
    if len(size_xyz) < 3 or min(size_xyz[:3]) < 2 or any(n != 1 for n in size_xyz[3:]):
        raise InputError(
            f"{source} must hold one 3D image with at least 2 voxels along each axis, "
            f"got a size of {'x'.join(map(str, size_xyz))}"
        )


def check_affine(ct_from_voxel: NDArray[np.float64], source: object) -> None:
    """Raise InputError unless the affine is finite and its three axes span the space."""
    if not np.isfinite(ct_from_voxel).all():
        raise InputError(
            f"{source} must have a finite affine, got {ct_from_voxel[:3].round(4).tolist()}"
        )
    edges_mm = np.linalg.norm(ct_from_voxel[:3, :3], axis=0)
    determinant = float(np.linalg.det(ct_from_voxel[:3, :3]))
    if abs(determinant) <= SMALLEST_RELATIVE_DETERMINANT * float(edges_mm.prod()):
        raise InputError(
            f"{source} must have an affine whose axes span three dimensions, got voxel edges "
            f"{edges_mm.round(4).tolist()} mm with determinant {determinant:.3g}"
        )
