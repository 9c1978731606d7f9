"""Line integrals by Joseph's method: a projector that shares nothing with the registration's.

A ray is followed plane by plane along the voxel axis it crosses fastest, with bilinear
interpolation inside each plane.

Source: P. M. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE
Transactions on Medical Imaging 1(3), 1982.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.volumes.volume import Volume

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]


def project(maps: Float32Array, voxel_from_camera: Float64Array, camera: Camera) -> Float32Array:
    """Integrate maps on one voxel grid along the ray of every pixel.

    Args:
        maps: [M,D,H,W] float32 quantities per millimetre (or densities); zero outside the grid.
        voxel_from_camera: [4,4] affine, camera millimetres -> voxel index (x,y,z).
        camera: the rays run from its source to its pixel centres.

    Returns:
        [M,rows,columns] float32 integrals (the maps' unit times mm).
    """
    ends_mm = _detector_points(camera)
    affine = np.asarray(voxel_from_camera, dtype=np.float64)
    ends = ends_mm @ affine[:3, :3].T + affine[:3, 3]
    lengths_mm = np.linalg.norm(ends_mm, axis=-1)
    integrals = _project(np.ascontiguousarray(maps), affine[:3, 3].copy(), ends, lengths_mm)
    return np.ascontiguousarray(integrals.transpose(2, 0, 1))


def project_attenuation(volume: Volume, camera: Camera, camera_from_ct: Tensor) -> Tensor:
    """[rows,columns] float32: the noise-free monoenergetic line integral of the attenuation.

    The same quantity as the registration's renderer gives, by another method.
    """
    affine = voxel_from_camera(volume, camera_from_ct)
    return torch.from_numpy(project(volume.attenuation.numpy()[None], affine, camera)[0])


def voxel_from_camera(volume: Volume, camera_from_ct: Tensor) -> Float64Array:
    """[4,4] float64 affine: camera millimetres -> voxel index (x,y,z) of the volume."""
    camera_from_voxel = camera_from_ct.to(torch.float64) @ volume.ct_from_voxel
    return np.asarray(torch.linalg.inv(camera_from_voxel).numpy(), dtype=np.float64)


def _detector_points(camera: Camera) -> Float64Array:
    """[rows,columns,3] float64 pixel centres in the camera frame, mm."""
    rows = torch.arange(camera.rows, dtype=torch.float64)
    columns = torch.arange(camera.columns, dtype=torch.float64)
    row, column = torch.meshgrid(rows, columns, indexing="ij")
    points = camera.detector_points(torch.stack((column, row), dim=-1))
    return np.asarray(points.numpy(), dtype=np.float64)


@numba.njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
def _project(
    maps: Float32Array, start: Float64Array, ends: Float64Array, lengths_mm: Float64Array
) -> Float32Array:
    """[rows,columns,M] integrals from ``start`` [3] to ``ends`` [rows,columns,3] (voxel index)."""
    rows, columns = lengths_mm.shape
    integrals = np.zeros((rows, columns, maps.shape[0]), dtype=np.float32)
    for row in numba.prange(rows):
        for column in range(columns):
            _integrate_ray(
                maps,
                start,
                ends[row, column] - start,
                lengths_mm[row, column],
                integrals[row, column],
            )
    return integrals


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _integrate_ray(
    maps: Float32Array,
    start: Float64Array,
    direction: Float64Array,
    length_mm: float,
    integrals: Float32Array,
) -> None:
    """Write to ``integrals`` [M] the sum over one ray, ``start`` to ``start + direction``."""
    sizes = (maps.shape[3], maps.shape[2], maps.shape[1])
    strides = (1, maps.shape[3], maps.shape[2] * maps.shape[3])
    axis = int(np.argmax(np.abs(direction)))  # the axis crossed fastest
    u_axis, v_axis = (axis + 1) % 3, (axis + 2) % 3
    u_size, v_size = sizes[u_axis], sizes[v_axis]
    stride, u_stride, v_stride = strides[axis], strides[u_axis], strides[v_axis]
    u_slope, v_slope = direction[u_axis] / direction[axis], direction[v_axis] / direction[axis]
    u_start = start[u_axis] - u_slope * start[axis]
    v_start = start[v_axis] - v_slope * start[axis]
    low, high = 0.0, sizes[axis] - 1.0
    # only planes between the source and the detector, and only where the ray is over the grid
    low, high = _clip(low, high, start[axis], start[axis] + direction[axis], 1.0, 0.0)
    low, high = _clip(low, high, -1.0, float(u_size), u_slope, u_start)
    low, high = _clip(low, high, -1.0, float(v_size), v_slope, v_start)
    step_mm = length_mm / abs(direction[axis])
    for m in range(maps.shape[0]):
        values = maps[m].ravel()
        total = 0.0
        for plane in range(math.ceil(low), math.floor(high) + 1):
            i, i_next, i_weight, i_next_weight = _neighbours(u_start + u_slope * plane, u_size)
            j, j_next, j_weight, j_next_weight = _neighbours(v_start + v_slope * plane, v_size)
            i, i_next = plane * stride + i * u_stride, plane * stride + i_next * u_stride
            j, j_next = j * v_stride, j_next * v_stride
            total += i_weight * (j_weight * values[i + j] + j_next_weight * values[i + j_next])
            total += i_next_weight * (
                j_weight * values[i_next + j] + j_next_weight * values[i_next + j_next]
            )
        integrals[m] = total * step_mm


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _neighbours(position: float, size: int) -> tuple[int, int, float, float]:
    """Both whole neighbours of a position in (-1, size) and their weights; none outside counts."""
    low = math.floor(position)
    weight = position - low
    low_weight = 1.0 - weight if low >= 0 else 0.0
    high_weight = weight if low + 1 < size else 0.0
    return max(low, 0), min(low + 1, size - 1), low_weight, high_weight


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _clip(
    low: float, high: float, bound_a: float, bound_b: float, slope: float, offset: float
) -> tuple[float, float]:
    """The part of [low, high] where ``slope * k + offset`` lies between the two bounds."""
    if slope == 0.0:
        inside = min(bound_a, bound_b) < offset < max(bound_a, bound_b)
        return (low, high) if inside else (1.0, 0.0)
    a, b = (bound_a - offset) / slope, (bound_b - offset) / slope
    return max(low, min(a, b)), min(high, max(a, b))
