"""What labels of a CT cover in an X-ray."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.rendering.render import render
from wsreg.volumes.volume import Volume

EDGE_VOXELS = 0.7
"""A ray that runs this far (longest voxel sides) inside a label sees it: interpolation spreads a
label over half a voxel around it, and this takes that back."""

LABELS_AT_ONCE = 8
"""Rendered in one pass; more would take more memory."""


def label_silhouettes(volume: Volume, camera: Camera, camera_from_ct: Tensor) -> Tensor:
    """Return [rows,columns] uint8 label seen by each pixel's ray, 0 if none.

    Where labels overlap, the one wins that the ray runs through for longest.

    Args:
        volume: the CT with its labels.
        camera: geometry of the X-ray.
        camera_from_ct: [4,4] rigid pose, LPS mm -> camera mm.

    Raises:
        InputError: without labels, or with values that do not fit 8 bits.
    """
    values = volume.label_values
    if not values or min(values) < 0 or max(values) > 255:
        raise InputError(f"labels must be some of 1 to 255, got {list(values)}")
    longest = torch.full((camera.rows, camera.columns), EDGE_VOXELS * max(volume.spacing_mm))
    labels = torch.zeros(longest.shape, dtype=torch.uint8)
    for start in range(0, len(values), LABELS_AT_ONCE):
        some = values[start : start + LABELS_AT_ONCE]
        lengths_mm = render(volume, camera, camera_from_ct, rois=some, any_pose=True)[0, 1:]
        for value, length_mm in zip(some, lengths_mm, strict=True):
            labels[length_mm > longest] = value
            longest = torch.maximum(longest, length_mm)
    return labels
