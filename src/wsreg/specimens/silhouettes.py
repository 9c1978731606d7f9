"""What bones cover in an X-ray: the exact outline of their surfaces, not of voxels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.compiled import compiled
from wsreg.geometry.camera import Camera
from wsreg.specimens.anatomy import Anatomy
from wsreg.specimens.ct import LABELS

FloatArray = NDArray[np.float64]

ON_TOP = ("vertebrae", "upper-sacrum", "left-hemipelvis", "right-hemipelvis", "left-femur",
          "right-femur")  # fmt: skip
"""Where bones overlap in the picture, one label is kept: of the last one in this order."""


def silhouettes(anatomy: Anatomy, camera: Camera, poses: Mapping[str, Tensor]) -> Tensor:
    """Return [6,rows,columns] bool, for each label 1-6 the pixels whose ray meets the bone.

    Args:
        anatomy: surfaces in CT coordinates.
        camera: of the X-ray.
        poses: ``camera_from_ct`` [4,4] of each bone.
    """
    pictures = torch.zeros(len(LABELS), camera.rows, camera.columns, dtype=torch.bool)
    for name, surfaces in anatomy.bones.items():
        covered = pictures[LABELS[name] - 1].numpy()
        for surface in surfaces:
            moved = surface.moved(poses[name].numpy())
            pixels = camera.project(torch.from_numpy(moved.vertices_mm)).numpy()
            in_front = (moved.vertices_mm[:, 2] > 0.0)[moved.triangles].all(axis=1)
            _cover(pixels[moved.triangles[in_front]], covered)
    return pictures


def label_map(pictures: Tensor) -> Tensor:
    """Return [rows,columns] uint8 labels of silhouettes [6,rows,columns], see ``ON_TOP``."""
    labels = torch.zeros(pictures.shape[1:], dtype=torch.uint8)
    for name in ON_TOP:
        labels[pictures[LABELS[name] - 1]] = LABELS[name]
    return labels


@compiled()
def _cover(triangles: FloatArray, covered: NDArray[np.bool_]) -> None:
    """Set the pixels whose centres lie in triangles [T,3,2] of (column, row)."""
    rows, columns = covered.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if area == 0.0:
            continue
        x_low = max(int(np.ceil(min(a[0], b[0], c[0]))), 0)
        x_high = min(int(np.floor(max(a[0], b[0], c[0]))), columns - 1)
        y_low = max(int(np.ceil(min(a[1], b[1], c[1]))), 0)
        y_high = min(int(np.floor(max(a[1], b[1], c[1]))), rows - 1)
        for y in range(y_low, y_high + 1):
            for x in range(x_low, x_high + 1):
                u = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
                v = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
                if u >= 0.0 and v >= 0.0 and u + v <= 1.0:
                    covered[y, x] = True
