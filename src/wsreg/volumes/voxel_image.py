"""What every reader returns: voxels and where they lie, whatever the voxels mean."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError

SMALLEST_RELATIVE_DETERMINANT = 1e-4
"""|det| over the product of the voxel's edges: 1 for orthogonal axes, 0 for axes in one plane."""

SMALLEST_EXTENT_MM, LARGEST_EXTENT_MM = 20.0, 3000.0
"""No CT of a patient is thinner or longer than this along an axis of its grid."""

THINNEST_MM, WIDE_MM = 1.0, 100.0
"""But for a stack of few slices, which is wide along its two other axes."""

_MM_PER_UNIT = {"millimetres": 1.0, "metres": 1000.0, "centimetres": 10.0, "micrometres": 0.001}
"""Units in which files are written that say or mean others by mistake, likeliest first."""


class VoxelImage(NamedTuple):
    """A 3D image as stored.

    Args:
        voxels: [D,H,W] = (z,y,x) numbers, C-contiguous.
        ct_from_voxel: [4,4] float64 affine, voxel index (x,y,z) -> LPS patient millimetres.
        notes: sentences on what was assumed or left out.
        slope: what the numbers in the file were multiplied by to give these voxels.
        mm_per_unit: what its lengths were multiplied by, as its header says or as was assumed.
    """

    voxels: NDArray[Any]
    ct_from_voxel: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    slope: float = 1.0
    mm_per_unit: float = 1.0


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
    if not spans_space(ct_from_voxel):
        edges_mm = np.linalg.norm(ct_from_voxel[:3, :3], axis=0)
        determinant = float(np.linalg.det(ct_from_voxel[:3, :3]))
        raise InputError(
            f"{source} must have an affine whose axes span three dimensions, got voxel edges "
            f"{edges_mm.round(4).tolist()} mm with determinant {determinant:.3g}"
        )


def spans_space(ct_from_voxel: NDArray[np.float64]) -> bool:
    """Tell whether an affine is finite and its three axes do not lie in one plane."""
    if not np.isfinite(ct_from_voxel).all():
        return False
    edges_mm = np.linalg.norm(ct_from_voxel[:3, :3], axis=0)
    determinant = abs(float(np.linalg.det(ct_from_voxel[:3, :3])))
    return determinant > SMALLEST_RELATIVE_DETERMINANT * float(edges_mm.prod())


def check_patient_size(image: VoxelImage, source: object) -> None:
    """Raise InputError for a CT of a size that no patient has, with the unit that may be wrong."""
    sizes = np.array(image.voxels.shape[::-1])
    extents_mm = sizes * np.linalg.norm(image.ct_from_voxel[:3, :3], axis=0)
    if _is_patient_size(extents_mm):
        return
    units = extents_mm / image.mm_per_unit
    names = [name for name, mm in _MM_PER_UNIT.items() if mm == image.mm_per_unit]
    said = f", its header says {names[0]}" if names and names[0] != "millimetres" else ""
    guess = next(
        (
            f" ({unit}? {_times(units * mm)} mm would be a patient's{said})"
            for unit, mm in _MM_PER_UNIT.items()
            if _is_patient_size(units * mm)
        ),
        "",
    )
    raise InputError(
        f"{source} must be of a size that a patient has, {SMALLEST_EXTENT_MM:g} to "
        f"{LARGEST_EXTENT_MM:g} mm along each axis, got {_times(extents_mm)} mm{guess}"
    )


def _is_patient_size(extents_mm: NDArray[np.float64]) -> bool:
    # A hair of tolerance: affines are often stored in single precision.
    thinnest, middle, largest = np.sort(extents_mm)
    least_mm = THINNEST_MM if middle >= WIDE_MM else SMALLEST_EXTENT_MM
    return bool(thinnest >= least_mm * (1 - 1e-6) and largest <= LARGEST_EXTENT_MM * (1 + 1e-6))


def _times(values: NDArray[np.float64]) -> str:
    return " x ".join(f"{value:.3g}" for value in values)
