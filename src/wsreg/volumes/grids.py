"""Label maps brought from one voxel grid onto another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.volumes.voxel_image import VoxelImage

LEAST_OVERLAP = 0.5
"""Fraction of the labelled volume that must lie inside the CT."""

SAME_GRID_TOLERANCE_MM = 1e-3


def same_grid(image: VoxelImage, ct: VoxelImage) -> bool:
    """Tell whether two grids have one size and every voxel in one place: the corners decide."""
    if image.voxels.shape != ct.voxels.shape:
        return False
    apart = np.abs(image.ct_from_voxel - ct.ct_from_voxel)[:3]
    reach = np.array([*ct.voxels.shape[::-1], 1])
    return float((apart @ reach).max()) <= SAME_GRID_TOLERANCE_MM


def onto_grid(image: VoxelImage, ct: VoxelImage) -> NDArray[Any]:
    """Return [D,H,W] the labels at the nearest voxel to each voxel of the CT; 0 outside.

    Only the box around what is labelled is looked at, so that one small bone costs little.
    """
    from scipy.ndimage import affine_transform

    labels = image.voxels
    onto: NDArray[Any] = np.zeros(ct.voxels.shape, labels.dtype)
    box = _box_of(labels)
    if box is None:
        return onto
    window = _window(box, image, ct)
    if window is None:
        return onto
    label_from_ct_voxel = np.linalg.inv(image.ct_from_voxel) @ ct.ct_from_voxel
    matrix = label_from_ct_voxel[2::-1, 2::-1]  # arrays are indexed (z,y,x), affines (x,y,z)
    first_in = np.array([part.start for part in box])
    first_out = np.array([part.start for part in window])
    onto[window] = affine_transform(
        labels[box],
        matrix,
        offset=label_from_ct_voxel[2::-1, 3] + matrix @ first_out - first_in,
        output_shape=tuple(part.stop - part.start for part in window),
        order=0,
        mode="grid-constant",
    )
    return onto


def labelled_mm3(labels: NDArray[Any], image: VoxelImage) -> float:
    """Return the volume of what is labelled on an image's grid."""
    voxel_mm3 = abs(float(np.linalg.det(image.ct_from_voxel[:3, :3])))
    return np.count_nonzero(labels) * voxel_mm3


def check_covered(inside_mm3: float, own_mm3: float, source: object) -> None:
    """Raise InputError if too little of what is labelled lies inside the CT."""
    if inside_mm3 < LEAST_OVERLAP * own_mm3:
        raise InputError(
            f"labels {source} must lie inside the CT, got only {inside_mm3 / own_mm3:.0%} of the "
            "labelled volume there (labels of another patient's grid?)"
        )


def _box_of(labels: NDArray[Any]) -> tuple[slice, ...] | None:
    """Return the (z,y,x) box around all that is not zero, or None."""
    inside = labels != 0
    box = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        places = inside.any(axis=others).nonzero()[0]
        if not len(places):
            return None
        box.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(box)


def _window(box: tuple[slice, ...], image: VoxelImage, ct: VoxelImage) -> tuple[slice, ...] | None:
    """Return the (z,y,x) part of the CT's grid that a box of the image's covers, or None."""
    ends = [(part.start - 1.0, part.stop + 0.0) for part in reversed(box)]
    corners = np.stack(np.meshgrid(*ends, [1.0]), axis=-1).reshape(-1, 4)
    ct_from_label_voxel = np.linalg.inv(ct.ct_from_voxel) @ image.ct_from_voxel
    reached = (corners @ ct_from_label_voxel.T)[:, 2::-1]
    first = np.maximum(np.floor(reached.min(axis=0)).astype(int), 0)
    last = np.minimum(np.ceil(reached.max(axis=0)).astype(int) + 1, ct.voxels.shape)
    if (first >= last).any():
        return None
    return tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
