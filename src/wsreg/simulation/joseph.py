"""Line integrals by Joseph's method: a projector that shares nothing with the registration's.

A ray is followed plane by plane along the voxel axis it crosses fastest, with bilinear
interpolation inside each plane.  Blocks of voxels that hold nothing are stepped over.

Source: P. M. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE
Transactions on Medical Imaging 1(3), 1982.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.compiled import compiled
from wsreg.geometry.camera import Camera
from wsreg.threads import run_ranges
from wsreg.volumes.volume import Volume

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SAMPLES_WORTH_A_THREAD = 2**16
"""Some milliseconds of work: waking a thread takes less than one."""
BLOCK = 8
"""Voxels along each side of a block."""
ROUNDING = 1e-3
"""More than single precision moves a position (voxels) on any grid that fits the memory."""


def project(
    maps: Float32Array, occupied: BoolArray, voxel_from_camera: Float64Array, camera: Camera
) -> Float32Array:
    """Integrate maps on one voxel grid along the ray of every pixel.

    Args:
        maps: [D,H,W,M] float32 quantities per millimetre (or densities), C-contiguous; zero
            outside the grid.
        occupied: [D/8,H/8,W/8] from :func:`occupied_blocks`.
        voxel_from_camera: [4,4] affine, camera millimetres -> voxel index (x,y,z).
        camera: the rays run from its source to its pixel centres.

    Returns:
        [rows,columns,M] float32 integrals (the maps' unit times mm).
    """
    mm_from_pixel = np.linalg.inv(camera.intrinsic_matrix.numpy()) * camera.source_to_detector_mm
    linear, source = voxel_from_camera[:3, :3], voxel_from_camera[:3, 3]
    start, voxel_from_pixel = source.copy(), linear @ mm_from_pixel
    integrals = np.zeros((camera.rows, camera.columns, maps.shape[3]), dtype=np.float32)
    samples_in_a_row = camera.columns * max(maps.shape[:3])
    run_ranges(
        lambda first, last: _project_rows(
            first, last, maps, occupied, start, voxel_from_pixel, mm_from_pixel, integrals
        ),
        camera.rows,
        smallest=-(-SAMPLES_WORTH_A_THREAD // samples_in_a_row),
    )
    return integrals


def project_attenuation(volume: Volume, camera: Camera, camera_from_ct: Tensor) -> Tensor:
    """Return [rows,columns] float32, the noise-free monoenergetic line integral of attenuation.

    The same quantity as the registration's renderer gives, by another method.
    """
    maps = volume.attenuation.numpy()[..., None]
    affine = voxel_from_camera(volume.ct_from_voxel, camera_from_ct)
    return torch.from_numpy(project(maps, occupied_blocks(maps), affine, camera)[..., 0])


def voxel_from_camera(frame_from_voxel: Tensor, camera_from_frame: Tensor) -> Float64Array:
    """Return the [4,4] float64 affine from camera millimetres to a grid's voxel index (x,y,z)."""
    camera_from_voxel = camera_from_frame.to(torch.float64) @ frame_from_voxel
    return np.asarray(torch.linalg.inv(camera_from_voxel).numpy(), dtype=np.float64)


def occupied_blocks(maps: Float32Array) -> BoolArray:
    """Return [D/8,H/8,W/8] bool, True where a sample inside a block can be other than zero.

    Args:
        maps: [D,H,W,M] float32.
    """
    occupied = np.zeros([-(-size // BLOCK) for size in maps.shape[:3]], dtype=np.bool_)
    run_ranges(
        lambda first, last: _mark_blocks(first, last, maps, occupied),
        len(maps),
        smallest=-(-SAMPLES_WORTH_A_THREAD // maps[0].size),
    )
    return occupied


@compiled(nogil=True)
def _mark_blocks(first: int, last: int, maps: Float32Array, occupied: BoolArray) -> None:
    """Mark the blocks that slices ``first`` to ``last`` of the maps hold something for.

    Two threads may mark the same block: both write True.
    """
    _, height, width, count = maps.shape
    for z in range(first, last):
        for y in range(height):
            for x in range(width):
                for m in range(count):
                    if maps[z, y, x, m] != 0.0:
                        # a sample reads the voxels on both sides, so the block before this one too
                        for k in range(max(z - 1, 0) // BLOCK, z // BLOCK + 1):
                            for j in range(max(y - 1, 0) // BLOCK, y // BLOCK + 1):
                                for i in range(max(x - 1, 0) // BLOCK, x // BLOCK + 1):
                                    occupied[k, j, i] = True


@compiled(nogil=True)
def _project_rows(
    first: int,
    last: int,
    maps: Float32Array,
    occupied: BoolArray,
    start: Float64Array,
    voxel_from_pixel: Float64Array,
    mm_from_pixel: Float64Array,
    integrals: Float32Array,
) -> None:
    """Add to rows ``first`` to ``last`` of [rows,columns,M] the integrals from ``start`` [3].

    Both [3,3] matrices take (column, row, 1) to a vector from the source to that pixel; ``start``
    and the first of them are in voxels.
    """
    direction = np.empty(3)
    for row in range(first, last):
        for column in range(integrals.shape[1]):
            squared_mm = 0.0
            for k in range(3):
                voxel, mm = voxel_from_pixel[k], mm_from_pixel[k]
                direction[k] = voxel[0] * column + voxel[1] * row + voxel[2]
                squared_mm += (mm[0] * column + mm[1] * row + mm[2]) ** 2
            _integrate_ray(
                maps, occupied, start, direction, math.sqrt(squared_mm), integrals[row, column]
            )


@compiled(error_model="numpy")
def _integrate_ray(
    maps: Float32Array,
    occupied: BoolArray,
    start: Float64Array,
    direction: Float64Array,
    length_mm: float,
    integrals: Float32Array,
) -> None:
    """Add to ``integrals`` [M] the sum over one ray, ``start`` to ``start + direction``."""
    w_axis = int(np.argmax(np.abs(direction)))  # the axis crossed fastest
    u_axis, v_axis = (w_axis + 1) % 3, (w_axis + 2) % 3
    sizes = (maps.shape[2 - w_axis], maps.shape[2 - u_axis], maps.shape[2 - v_axis])
    xyz = (maps.shape[3], maps.shape[3] * maps.shape[2], maps[0].size)
    strides = (xyz[w_axis], xyz[u_axis], xyz[v_axis])
    xyz = (1, occupied.shape[2], occupied[0].size)
    block_strides = (xyz[w_axis], xyz[u_axis], xyz[v_axis])
    slopes = (direction[u_axis] / direction[w_axis], direction[v_axis] / direction[w_axis])
    u_start = start[u_axis] - slopes[0] * start[w_axis]
    v_start = start[v_axis] - slopes[1] * start[w_axis]
    low, high = 0.0, sizes[0] - 1.0
    # only planes between the source and the detector, and only where the ray is over the grid
    low, high = _clip(low, high, start[w_axis], start[w_axis] + direction[w_axis], 1.0, 0.0)
    low, high = _clip(low, high, -1.0, float(sizes[1]), slopes[0], u_start)
    low, high = _clip(low, high, -1.0, float(sizes[2]), slopes[1], v_start)
    values, holds = maps.ravel(), occupied.ravel()
    first, last = math.ceil(low), math.floor(high)
    while first <= last:
        planes = (first, min(last, first | (BLOCK - 1)))
        u = (u_start + slopes[0] * planes[0], u_start + slopes[0] * planes[1])
        v = (v_start + slopes[1] * planes[0], v_start + slopes[1] * planes[1])
        at = first // BLOCK * block_strides[0]
        i = (_block(u[0], sizes[1]) * block_strides[1], _block(u[1], sizes[1]) * block_strides[1])
        j = (_block(v[0], sizes[2]) * block_strides[2], _block(v[1], sizes[2]) * block_strides[2])
        # slopes are at most 1, so that no more than these four blocks are met
        if (
            holds[at + i[0] + j[0]]
            or holds[at + i[0] + j[1]]
            or holds[at + i[1] + j[0]]
            or holds[at + i[1] + j[1]]
        ):
            start_uv = (u[0], v[0])
            if _inside(u, sizes[1]) and _inside(v, sizes[2]):
                _add_inside(values, planes, start_uv, slopes, strides, integrals)
            else:
                _add_at_edge(values, planes, start_uv, slopes, strides, sizes, integrals)
        first = planes[1] + 1
    integrals *= length_mm / abs(direction[w_axis])


@compiled(error_model="numpy", fastmath=True)
def _add_inside(
    values: Float32Array,
    planes: tuple[int, int],
    start_uv: tuple[float, float],
    slopes: tuple[float, float],
    strides: tuple[int, int, int],
    integrals: Float32Array,
) -> None:
    """Add up planes first to last where all four neighbours lie on the grid; made for speed."""
    w_stride, u_stride, v_stride = (
        np.uint64(strides[0]),
        np.uint64(strides[1]),
        np.uint64(strides[2]),
    )
    for k in range(planes[1] - planes[0] + 1):
        u = np.float32(start_uv[0] + slopes[0] * k)
        v = np.float32(start_uv[1] + slopes[1] * k)
        i, j = np.int32(u), np.int32(v)
        u_weight, v_weight = u - np.float32(i), v - np.float32(j)
        both = u_weight * v_weight
        only_u, only_v = u_weight - both, v_weight - both
        neither = np.float32(1.0) - u_weight - only_v
        corner = (
            np.uint64(planes[0] + k) * w_stride + np.uint64(i) * u_stride + np.uint64(j) * v_stride
        )
        for m in range(integrals.size):
            at = corner + np.uint64(m)
            integrals[m] += (
                neither * values[at]
                + only_u * values[at + u_stride]
                + only_v * values[at + v_stride]
                + both * values[at + u_stride + v_stride]
            )


@compiled(error_model="numpy")
def _add_at_edge(
    values: Float32Array,
    planes: tuple[int, int],
    start_uv: tuple[float, float],
    slopes: tuple[float, float],
    strides: tuple[int, int, int],
    sizes: tuple[int, int, int],
    integrals: Float32Array,
) -> None:
    """Add up planes first to last where some neighbours may lie outside, which count as zero."""
    for k in range(planes[1] - planes[0] + 1):
        i, i_next, i_weight, i_next_weight = _neighbours(start_uv[0] + slopes[0] * k, sizes[1])
        j, j_next, j_weight, j_next_weight = _neighbours(start_uv[1] + slopes[1] * k, sizes[2])
        plane = (planes[0] + k) * strides[0]
        i, i_next = plane + i * strides[1], plane + i_next * strides[1]
        j, j_next = j * strides[2], j_next * strides[2]
        for m in range(integrals.size):
            integrals[m] += i_weight * (
                j_weight * values[i + j + m] + j_next_weight * values[i + j_next + m]
            ) + i_next_weight * (
                j_weight * values[i_next + j + m] + j_next_weight * values[i_next + j_next + m]
            )


@compiled()
def _inside(ends: tuple[float, float], size: int) -> bool:
    """Tell whether both neighbours of all positions between two lie on the grid, after rounding."""
    return min(ends[0], ends[1]) >= 0.0 and max(ends[0], ends[1]) < size - 1.0 - ROUNDING


@compiled()
def _block(position: float, size: int) -> int:
    """Return the block that a position in (-1, size) is in."""
    return min(max(int(position), 0), size - 1) // BLOCK


@compiled()
def _neighbours(position: float, size: int) -> tuple[int, int, float, float]:
    """Return both whole neighbours of a position and their weights; none outside counts."""
    low = math.floor(position)
    weight = position - low
    low_weight = 1.0 - weight if 0 <= low < size else 0.0
    high_weight = weight if 0 <= low + 1 < size else 0.0
    last = size - 1
    return min(max(low, 0), last), min(max(low + 1, 0), last), low_weight, high_weight


@compiled()
def _clip(
    low: float, high: float, bound_a: float, bound_b: float, slope: float, offset: float
) -> tuple[float, float]:
    """Return the part of [low, high] where ``slope * k + offset`` lies between the two bounds."""
    if slope == 0.0:
        inside = min(bound_a, bound_b) < offset < max(bound_a, bound_b)
        return (low, high) if inside else (1.0, 0.0)
    a, b = (bound_a - offset) / slope, (bound_b - offset) / slope
    return max(low, min(a, b)), min(high, max(a, b))
