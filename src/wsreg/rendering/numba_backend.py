"""The CPU renderer: prepares grids once for each volume, then calls the march."""

from __future__ import annotations

import functools
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.kernels.march import PAD, march_image, march_labels
from wsreg.kernels.simd import LANES
from wsreg.rendering.plane_grid import PlaneGrid, attenuation_grid, label_grid
from wsreg.rendering.rays import (
    PlaneAxes,
    RayGeometry,
    first_plane,
    plane_axes,
    plane_stride,
    ray_geometry,
)
from wsreg.volumes.volume import Volume

Rois = tuple[tuple[int, ...], ...]

_grids: WeakKeyDictionary[Volume, dict[tuple[PlaneAxes, Rois | None], PlaneGrid]] = (
    WeakKeyDictionary()
)


def _grid_for(volume: Volume, axes: PlaneAxes, rois: Rois | None) -> PlaneGrid:
    prepared = _grids.setdefault(volume, {})
    key = (axes, rois)
    if key not in prepared:
        if rois is None:
            prepared[key] = attenuation_grid(volume.attenuation.numpy(), axes)
        else:
            assert volume.labels is not None
            prepared[key] = label_grid(volume.labels.numpy(), rois, axes)
    return prepared[key]


def _march_arguments(
    grid: PlaneGrid, axes: PlaneAxes, stride: int, rays: RayGeometry, chosen: Tensor, camera: Camera
) -> tuple[Any, ...]:
    """What both marches take after their grid, in the grid's (u, v, w) order with its border."""
    order = [axes.u, axes.v, axes.w]
    border = torch.tensor([PAD, PAD, 0], dtype=torch.float64)
    source = rays.source[chosen][:, order] + border
    row_spacing, column_spacing = camera.pixel_spacing_mm
    column, row = camera.centre_px
    detector = (
        -column * column_spacing,
        column_spacing,
        -row * row_spacing,
        row_spacing,
        camera.source_to_detector_mm,
    )
    return (
        stride,
        first_plane(int(grid.shape[2]), stride),
        source.numpy(),
        np.ascontiguousarray(rays.linear[chosen][:, order].numpy()),
        np.ascontiguousarray(rays.source_by_pose[chosen][..., order].numpy()),
        np.ascontiguousarray(rays.linear_by_pose[chosen][:, :, order].numpy()),
        rays.reaches_outside,
        detector,
        camera.rows,
        camera.columns,
    )


def _image_pass(
    grid: PlaneGrid, arguments: tuple[Any, ...], poses: int, camera: Camera, derivatives: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    padded = -(-camera.columns // LANES) * LANES
    image = np.empty((poses, camera.rows, padded), np.float32)
    jacobian = np.empty((poses if derivatives else 0, 6, camera.rows, padded), np.float32)
    march_image(grid.values, grid.shape, grid.occupancy, grid.scale, *arguments, image, jacobian)
    return image[..., : camera.columns], jacobian[..., : camera.columns]


def _label_pass(
    grid: PlaneGrid,
    arguments: tuple[Any, ...],
    poses: int,
    rois: Rois,
    camera: Camera,
    derivatives: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    padded = -(-camera.columns // LANES) * LANES
    size = (len(rois), 6, camera.rows, padded)
    image = np.zeros((poses, size[0], *size[2:]), np.float32)
    jacobian = np.zeros((poses if derivatives else 0, *size), np.float32)
    march_labels(grid.values, grid.shape, grid.occupancy, *arguments, image, jacobian)
    return image[..., : camera.columns], jacobian[..., : camera.columns]


def _disjoint(rois: Rois) -> Rois:
    """The ROIs if they share no label, else their labels one by one."""
    labels = [label for roi in rois for label in sorted(set(roi))]
    if len(labels) == len(set(labels)):
        return rois
    return tuple((label,) for label in sorted(set(labels)))


def render_numba(
    volume: Volume,
    camera: Camera,
    camera_from_ct: Tensor,
    rois: Rois,
    step_mm: float | None,
    pivot_mm: Tensor,
    derivatives: bool,
    attenuation: bool = True,
) -> tuple[Tensor, Tensor]:
    """(image [B,1+R,H,W], jacobian [B,1+R,H,W,6] or empty), float32, for poses [B,4,4].

    Without ``attenuation`` only the R channels of the ROIs.
    """
    atoms = _disjoint(rois)
    if atoms != rois:  # a voxel holds one channel number: march the parts, then add them up
        image, jacobian = render_numba(
            volume, camera, camera_from_ct, atoms, step_mm, pivot_mm, derivatives, attenuation
        )
        parts = [[True] + [False] * len(atoms)] if attenuation else []
        parts += [[False] * attenuation + [set(atom) <= set(roi) for atom in atoms] for roi in rois]
        image = torch.stack([image[:, p].sum(dim=1) for p in parts], dim=1)
        jacobian = torch.stack([jacobian[:, p].sum(dim=1) for p in parts], dim=1)
        return image, jacobian
    rays = ray_geometry(camera_from_ct, volume.ct_from_voxel, pivot_mm, camera, volume.corners_mm)
    settings = [
        (axes, plane_stride(step_mm, axes, linear))
        for linear in rays.linear
        for axes in (plane_axes(linear, volume.ct_from_voxel),)
    ]
    count, first = len(camera_from_ct), int(attenuation)
    channels = first + len(rois)
    if attenuation and channels == 1 and len(set(settings)) == 1:  # the common case needs no copies
        axes, stride = settings[0]
        grid, everything = _grid_for(volume, axes, None), torch.arange(count)
        arguments = _march_arguments(grid, axes, stride, rays, everything, camera)
        values, changes = _image_pass(grid, arguments, count, camera, derivatives)
        return torch.from_numpy(values)[:, None], torch.from_numpy(changes)[:, None].movedim(2, -1)
    image = torch.empty((count, channels, camera.rows, camera.columns))
    jacobian = torch.empty((count if derivatives else 0, channels, 6, camera.rows, camera.columns))
    for axes, stride in sorted(set(settings), key=str):
        chosen = torch.tensor([n for n, s in enumerate(settings) if s == (axes, stride)])
        grid = _grid_for(volume, axes, None if attenuation else rois)
        arguments = _march_arguments(grid, axes, stride, rays, chosen, camera)
        if attenuation:
            values, changes = _image_pass(grid, arguments, len(chosen), camera, derivatives)
            image[chosen, 0] = torch.from_numpy(values)
            if derivatives:
                jacobian[chosen, 0] = torch.from_numpy(changes)
        if rois:
            labels = _grid_for(volume, axes, rois)
            values, changes = _label_pass(labels, arguments, len(chosen), rois, camera, derivatives)
            image[chosen, first:] = torch.from_numpy(values)
            if derivatives:
                jacobian[chosen, first:] = torch.from_numpy(changes)
    return image, jacobian.movedim(2, -1)


@functools.cache
def load_kernels() -> None:
    """Load the kernels from the disk cache, or compile them (some 20 s, once after installing)."""
    volume = Volume(
        hu=torch.zeros(2, 2, 2),
        ct_from_voxel=torch.eye(4, dtype=torch.float64),
        labels=torch.ones(2, 2, 2, dtype=torch.uint8),
    )
    camera = Camera(source_to_detector_mm=100.0, rows=1, columns=1, pixel_spacing_mm=(1.0, 1.0))
    pose = torch.eye(4, dtype=torch.float64)[None]
    pose[0, 2, 3] = 50.0
    render_numba(volume, camera, pose, ((1,),), None, volume.centre_mm, True)
