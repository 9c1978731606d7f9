"""The CPU renderer: lays poses and grids out as the march wants them, and shares it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.kernels.march import PAD, TILE_ROWS, march_image, march_labels, tile_count
from wsreg.kernels.simd import LANES
from wsreg.rendering.plane_grid import PlaneGrid, Rois
from wsreg.rendering.prepared import PreparedVolume
from wsreg.rendering.rays import (
    PlaneSampling,
    RayGeometry,
    first_plane,
    plane_samplings,
    ray_geometry,
)
from wsreg.threads import run_ranges

SAMPLES_WORTH_A_THREAD = 2**18
"""Some 0.5 ms of marching: waking a thread takes a tenth of that."""

Images = tuple[NDArray[np.float32], NDArray[np.float32]]


def render(
    prepared: PreparedVolume,
    camera: Camera,
    camera_from_ct: Tensor,
    *,
    rois: Rois,
    attenuation: bool,
    step_mm: float | None,
    pivot_mm: Tensor,
    derivatives: bool,
) -> tuple[Tensor, Tensor]:
    """Render as :meth:`wsreg.rendering.backends.protocol.RenderBackend.render` says, in float32."""
    volume, atoms = prepared.volume, _disjoint(rois)
    poses = camera_from_ct.cpu()
    rays = ray_geometry(poses, volume.ct_from_voxel, pivot_mm, camera, volume.corners_mm)
    alike: dict[PlaneSampling, list[int]] = {}
    for number, sampling in enumerate(plane_samplings(rays.linear, volume.ct_from_voxel, step_mm)):
        alike.setdefault(sampling, []).append(number)
    parts = [
        _march(prepared, camera, rays, numbers, sampling, atoms, attenuation, derivatives)
        for sampling, numbers in alike.items()
    ]
    if len(parts) == 1:  # the common case needs no copies
        image, jacobian = parts[0]
    else:
        order = [number for numbers in alike.values() for number in numbers]
        image, jacobian = _in_order(parts, order, derivatives, attenuation + len(atoms), camera)
    if atoms != rois:
        image, jacobian = (_summed(part, atoms, rois, attenuation) for part in (image, jacobian))
    device = camera_from_ct.device
    return image.to(device), jacobian.movedim(2, -1).to(device)


def _march(
    prepared: PreparedVolume,
    camera: Camera,
    rays: RayGeometry,
    numbers: Sequence[int],
    sampling: PlaneSampling,
    rois: Rois,
    attenuation: bool,
    derivatives: bool,
) -> tuple[Tensor, Tensor]:
    """Return (image [b,C,H,W], jacobian [b,C,6,H,W]) of the poses that have these numbers."""
    passes = []
    if attenuation:
        grid = prepared.attenuation_grid(sampling.axes)
        arguments = _march_arguments(grid, sampling, rays, numbers, camera)
        image, jacobian = _image_pass(grid, arguments, len(numbers), camera, derivatives)
        passes.append((image[:, None], jacobian[:, None]))
    if rois:
        grid = prepared.label_grid(sampling.axes, rois)
        arguments = _march_arguments(grid, sampling, rays, numbers, camera)
        passes.append(_label_pass(grid, arguments, len(numbers), rois, camera, derivatives))
    images, jacobians = (
        [torch.from_numpy(array[..., : camera.columns]) for array in arrays]
        for arrays in zip(*passes, strict=True)
    )
    if len(passes) == 1:
        return images[0], jacobians[0]
    return torch.cat(images, dim=1), torch.cat(jacobians, dim=1)


def _march_arguments(
    grid: PlaneGrid,
    sampling: PlaneSampling,
    rays: RayGeometry,
    numbers: Sequence[int],
    camera: Camera,
) -> tuple[Any, ...]:
    """Return what both marches take after their grid, in its (u, v, w) order with its border."""
    order = [sampling.axes.u, sampling.axes.v, sampling.axes.w]
    chosen = slice(None) if len(numbers) == len(rays.source) else numbers
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
        sampling.stride,
        first_plane(int(grid.shape[2]), sampling.stride),
        # Of another layout it would be another kernel, compiled amid a registration.
        np.ascontiguousarray(rays.source.numpy()[chosen][:, order] + np.array([PAD, PAD, 0.0])),
        np.ascontiguousarray(rays.linear.numpy()[chosen][:, order]),
        np.ascontiguousarray(rays.source_by_pose.numpy()[chosen][..., order]),
        np.ascontiguousarray(rays.linear_by_pose.numpy()[chosen][:, :, order]),
        rays.reaches_outside,
        detector,
        camera.rows,
        camera.columns,
    )


def _image_pass(
    grid: PlaneGrid, arguments: tuple[Any, ...], poses: int, camera: Camera, derivatives: bool
) -> Images:
    """Return (image [b,H,padded W], jacobian [b,6,H,padded W])."""
    padded = -(-camera.columns // LANES) * LANES
    image = np.empty((poses, camera.rows, padded), np.float32)
    jacobian = np.empty((poses if derivatives else 0, 6, camera.rows, padded), np.float32)
    _share_out(
        lambda first, last: march_image(
            first, last, grid.values, grid.shape, grid.occupancy, grid.scale, *arguments,
            image, jacobian,
        ),
        grid, arguments[0], poses, camera,
    )  # fmt: skip
    return image, jacobian


def _label_pass(
    grid: PlaneGrid,
    arguments: tuple[Any, ...],
    poses: int,
    rois: Rois,
    camera: Camera,
    derivatives: bool,
) -> Images:
    """Return (image [b,R,H,padded W], jacobian [b,R,6,H,padded W])."""
    padded = -(-camera.columns // LANES) * LANES
    image = np.zeros((poses, len(rois), camera.rows, padded), np.float32)
    jacobian = np.zeros(
        (poses if derivatives else 0, len(rois), 6, camera.rows, padded), np.float32
    )
    _share_out(
        lambda first, last: march_labels(
            first, last, grid.values, grid.shape, grid.occupancy, *arguments, image, jacobian
        ),
        grid, arguments[0], poses, camera,
    )  # fmt: skip
    return image, jacobian


def _share_out(
    march: Callable[[int, int], object], grid: PlaneGrid, stride: int, poses: int, camera: Camera
) -> None:
    """March all tiles of the images of some poses, by several threads if there is enough to do."""
    samples_in_a_tile = TILE_ROWS * LANES * -(-int(grid.shape[2]) // stride)
    tiles = tile_count(poses, camera.rows, camera.columns)
    run_ranges(march, tiles, smallest=-(-SAMPLES_WORTH_A_THREAD // samples_in_a_tile))


def _in_order(
    parts: Sequence[tuple[Tensor, Tensor]],
    order: Sequence[int],
    derivatives: bool,
    channels: int,
    camera: Camera,
) -> tuple[Tensor, Tensor]:
    """Put the parts of a batch together, ``order`` being the number of each pose in them."""
    size = (camera.rows, camera.columns)
    image = torch.empty((len(order), channels, *size))
    jacobian = torch.empty((len(order) if derivatives else 0, channels, 6, *size))
    begin = 0
    for part, change in parts:
        chosen = torch.tensor(order[begin : begin + len(part)])
        image[chosen] = part
        if derivatives:
            jacobian[chosen] = change
        begin += len(part)
    return image, jacobian


def _disjoint(rois: Rois) -> Rois:
    """Return the ROIs if they share no label, else their labels one by one.

    A voxel holds one channel number; parts are marched, then added up.
    """
    labels = [label for roi in rois for label in sorted(set(roi))]
    if len(labels) == len(set(labels)):
        return rois
    return tuple((label,) for label in sorted(set(labels)))


def _summed(channels: Tensor, atoms: Rois, rois: Rois, attenuation: bool) -> Tensor:
    """Return [B,C,...] of the ROIs, from that of the labels that they are made of."""
    parts = [[True] + [False] * len(atoms)] if attenuation else []
    parts += [[False] * attenuation + [set(atom) <= set(roi) for atom in atoms] for roi in rois]
    return torch.stack([channels[:, part].sum(dim=1) for part in parts], dim=1)
