"""Bones of a CT as seen from outside: which label is met first, how far away, and how it shines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wsreg.errors import InputError
from wsreg.volumes.volume import Volume

PIXEL_MM = 1.0
MARGIN_MM = 8.0
COARSEST_MM = 1.2
"""Voxels finer than this are left out in turn: a picture has no use for them."""
SMOOTHING_VOXELS = 1.2
"""Standard deviation by which a bone's shape is smoothed before its surface is lit."""
LIGHT = (-0.35, -0.45, -0.82)
"""Towards which the light travels from the bone: to the upper left of the viewer (view's axes)."""
AMBIENT = 0.35

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class BoneView:
    """A parallel view of the labelled bones.

    Args:
        labels: [H,W] label that is met first, 0 where there is none.
        shade: [H,W] brightness of the surface, in 0..1.
        depth_mm: [H,W] how deep it lies along the view, infinite where there is none.
        view_from_ct: [3,3] rotation whose rows are the view's axes in CT coordinates (LPS): to the
            right, down, and into the picture.
        corner_mm: (right, down) of the centre of the first pixel.
    """

    labels: NDArray[np.int64]
    shade: FloatArray
    depth_mm: FloatArray
    view_from_ct: FloatArray
    corner_mm: tuple[float, float]

    def seen(self, points_mm: Tensor, tolerance_mm: float = 6.0) -> tuple[FloatArray, Any]:
        """Return where points [N,3] (LPS mm) lie in the view, and which are not behind bone.

        Returns:
            [N,2] (column, row) in pixels, and [N] bool.
        """
        right, down, depth = self.view_from_ct @ points_mm.double().numpy().T
        pixels = np.stack((right - self.corner_mm[0], down - self.corner_mm[1]), axis=1) / PIXEL_MM
        column, row = np.rint(pixels).astype(int).T
        rows, columns = self.labels.shape
        inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        surface = np.full(len(pixels), np.inf)
        surface[inside] = self.depth_mm[row[inside], column[inside]]
        return pixels, depth <= surface + tolerance_mm


def oblique_front(turn_deg: float = 18.0, tilt_deg: float = 8.0) -> FloatArray:
    """Return [3,3] a view from the front, from the patient's left, and from above."""
    turn, tilt = math.radians(turn_deg), math.radians(tilt_deg)
    c, s = math.cos(turn), math.sin(turn)
    into = np.array([-s, c, 0.0]) * math.cos(tilt) + np.array([0.0, 0.0, -1.0]) * math.sin(tilt)
    right = np.array([c, s, 0.0])
    return np.stack((right, np.cross(into, right), into))


def bone_view(volume: Volume, view_from_ct: FloatArray | None = None) -> BoneView:
    """Look at the labelled bones of a CT, by default from the front and a little aside.

    Raises:
        InputError: the CT has no labels.
    """
    from scipy.ndimage import binary_closing, gaussian_filter, maximum_filter

    view = oblique_front() if view_from_ct is None else view_from_ct
    voxels, ct_from_voxel = _labelled_part(volume)
    # Thin bone has pinholes where it is thinner than a voxel.
    closed = binary_closing(voxels > 0, np.ones((3, 3, 3), dtype=bool))
    voxels = np.where(closed & (voxels == 0), maximum_filter(voxels, 3), voxels)
    smooth = gaussian_filter((voxels > 0).astype(np.float32), SMOOTHING_VOXELS)
    low, high = _extent(voxels, view @ ct_from_voxel[:3, :3], view @ ct_from_voxel[:3, 3])
    sizes = np.ceil((high - low) / PIXEL_MM).astype(int) + 1
    voxel_from_view = _inverse(ct_from_voxel) @ _affine(view.T, view.T @ low)
    labels, steps = _first_met(voxels, voxel_from_view, sizes)
    rows, columns = np.nonzero(labels)
    hit = np.asarray((columns, rows, steps[rows, columns]), dtype=np.float64) * PIXEL_MM
    index = voxel_from_view[:3, :3] @ hit + voxel_from_view[:3, 3:]
    shade = np.zeros(labels.shape)
    shade[rows, columns] = _lit(smooth, index, view @ _inverse(ct_from_voxel[:3, :3]).T)
    depth = np.where(labels > 0, low[2] + steps * PIXEL_MM, np.inf)
    return BoneView(
        labels=labels,
        shade=shade,
        depth_mm=depth,
        view_from_ct=view,
        corner_mm=(float(low[0]), float(low[1])),
    )


def _labelled_part(volume: Volume) -> tuple[NDArray[Any], FloatArray]:
    """Return the labels [D,H,W] cut to what is labelled and thinned, with their affine."""
    if volume.labels is None or not bool(volume.labels.any()):
        raise InputError("the CT must have labels for a view of its bones, it has none")
    labels = volume.labels.numpy()
    axes = ((1, 2), (0, 2), (0, 1))
    spans = [np.flatnonzero(labels.any(axis=others)) for others in axes]
    first = [max(int(span[0]) - 4, 0) for span in spans]
    stop = [int(span[-1]) + 5 for span in spans]
    every = [max(1, int(COARSEST_MM / mm)) for mm in reversed(volume.spacing_mm)]
    part = labels[tuple(slice(*cut) for cut in zip(first, stop, every, strict=True))]
    old_from_new = _affine(np.diag(every[::-1]).astype(float), np.array(first[::-1], dtype=float))
    return part, volume.ct_from_voxel.numpy() @ old_from_new


def _extent(
    voxels: NDArray[Any], matrix: FloatArray, offset: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return [3] least and greatest place of what is labelled, with a margin."""
    indices = np.argwhere(voxels > 0)[::7, ::-1]
    places = indices @ matrix.T + offset
    return places.min(axis=0) - MARGIN_MM, places.max(axis=0) + MARGIN_MM


def _first_met(
    voxels: NDArray[Any], voxel_from_view: FloatArray, sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], FloatArray]:
    """Go into the picture plane by plane; return labels [H,W] and the planes of their surface."""
    columns, rows, planes = (int(size) for size in sizes)
    column, row = np.meshgrid(np.arange(columns), np.arange(rows))
    labels = np.zeros((rows, columns), dtype=np.int64)
    steps = np.zeros((rows, columns))
    limits = np.array(voxels.shape[::-1])[:, None]
    for plane in range(planes):
        open_row, open_column = np.nonzero(labels == 0)
        places = np.stack((column[open_row, open_column], row[open_row, open_column],
                           np.full(len(open_row), plane))) * PIXEL_MM  # fmt: skip
        index = np.rint(voxel_from_view[:3, :3] @ places + voxel_from_view[:3, 3:]).astype(int)
        inside = ((index >= 0) & (index < limits)).all(axis=0)
        x, y, z = index[:, inside]
        met = np.zeros(len(open_row), dtype=np.int64)
        met[inside] = voxels[z, y, x]
        labels[open_row, open_column] = met
        steps[open_row[met > 0], open_column[met > 0]] = plane
    return labels, steps


def _lit(smooth: NDArray[Any], index: FloatArray, view_from_slope: FloatArray) -> FloatArray:
    """Return [N] brightness at voxel indices [3,N] (x,y,z) of a surface whose inside is 1."""
    from scipy.ndimage import map_coordinates

    slopes = []
    for axis in range(3):
        ahead, behind = index.copy(), index.copy()
        ahead[axis] += 1.0
        behind[axis] -= 1.0
        slopes.append(
            map_coordinates(smooth, ahead[::-1], order=1)
            - map_coordinates(smooth, behind[::-1], order=1)
        )
    outward = -(view_from_slope @ np.stack(slopes))
    outward /= np.maximum(np.linalg.norm(outward, axis=0), 1e-9)
    facing = np.clip(np.asarray(LIGHT) / np.linalg.norm(LIGHT) @ outward, 0.0, 1.0)
    brightness: FloatArray = AMBIENT + (1.0 - AMBIENT) * facing
    return brightness


def _inverse(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _affine(matrix: FloatArray, offset: FloatArray) -> FloatArray:
    full = np.eye(4)
    full[:3, :3], full[:3, 3] = matrix, offset
    return full
