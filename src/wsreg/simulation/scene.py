"""What an X-ray is made of: parts, each with its own voxel grid and its own pose."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.simulation.joseph import occupied_blocks, project, voxel_from_camera
from wsreg.simulation.materials import MATERIALS
from wsreg.simulation.upsampling import MARGIN, upsample

Float32Array = NDArray[np.float32]

CM_PER_MM = 0.1

THICKNESS_RAYS, LEAST_BODY_MM = 24, 20.0
"""Rays along each side to find the body's thickness with; the least that counts as a body."""

VOXELS_BETWEEN_RAYS = 2.0 / 3.0
"""How far apart, in voxels at the depth of a part, its rays may be; what is between them is
interpolated."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MaterialGrid:
    """Densities of some materials on a voxel grid.

    Args:
        density: [D,H,W,M] float32 g/cm3, interleaved by material so that one read serves all;
            negative where the part displaces what another part has there.
        materials: names of the M channels, each one of ``MATERIALS``.
        part_from_voxel: [4,4] float64 affine, voxel index (x,y,z) -> the part's frame, mm.
    """

    density: Float32Array
    materials: tuple[str, ...]
    part_from_voxel: Tensor

    def __post_init__(self) -> None:
        density = np.ascontiguousarray(self.density, dtype=np.float32)
        if density.ndim != 4 or 0 in density.shape or density.shape[3] != len(self.materials):
            raise InputError(
                f"grid density must be [D,H,W,{len(self.materials)}] for {self.materials}, "
                f"got {list(density.shape)}"
            )
        unknown = sorted(set(self.materials) - set(MATERIALS))
        if unknown or len(set(self.materials)) != len(self.materials):
            raise InputError(
                f"grid materials must be different ones of {MATERIALS}, got {self.materials}"
            )
        affine = torch.as_tensor(self.part_from_voxel, dtype=torch.float64)
        if affine.shape != (4, 4) or not abs(float(torch.linalg.det(affine[:3, :3]))) > 1e-9:
            raise InputError("grid part_from_voxel must be an invertible 4x4 matrix")
        object.__setattr__(self, "density", density)
        object.__setattr__(self, "part_from_voxel", affine)

    @cached_property
    def occupied(self) -> NDArray[np.bool_]:
        """Return [D/8,H/8,W/8] the blocks of voxels that hold anything."""
        blocks: NDArray[np.bool_] = occupied_blocks(self.density)
        return blocks


@dataclass(frozen=True, kw_only=True, eq=False)
class ScenePart:
    """One rigid part of a scene.

    Args:
        grid: what it is made of; any number of parts, and of X-rays, may share one.
        camera_from_part: [4,4] float64 pose, part mm -> camera mm; rigid, or affine for soft
            parts that have changed their shape.
    """

    grid: MaterialGrid
    camera_from_part: Tensor


def areal_density(parts: Sequence[ScenePart], camera: Camera) -> Float32Array:
    """Return the mass of each material along the ray of every pixel, all parts together.

    Returns:
        [rows,columns,5] float32 g/cm2 of ``MATERIALS``; never negative, as the sum is cut at 0.
    """
    total = np.zeros((camera.rows, camera.columns, len(MATERIALS)), dtype=np.float32)
    for part in parts:
        affine = voxel_from_camera(part.grid.part_from_voxel, part.camera_from_part)
        corners = _corners(affine, part.grid.density.shape)
        pixels = _pixels_for_each_ray(part.grid, corners, camera)
        rows, columns = _shadow(corners, camera, pixels)
        if not rows or not columns:
            continue
        window = _window(camera, rows, columns, pixels)
        integrals = project(part.grid.density, part.grid.occupied, affine, window)
        fine = upsample(integrals, pixels)
        seen = total[rows.start * pixels : rows.stop * pixels]
        seen = seen[:, columns.start * pixels : columns.stop * pixels]
        for channel, material in enumerate(part.grid.materials):
            seen[..., MATERIALS.index(material)] += (
                CM_PER_MM * fine[: seen.shape[0], : seen.shape[1], channel]
            )
    return np.maximum(total, 0.0, out=total)


def body_thickness_mm(parts: Sequence[ScenePart], camera: Camera) -> float:
    """Return the median thickness, in mm of water, of what the rays meet.

    Rays that meet nothing do not count; it is 0 if none meets anything.
    """
    few = camera.resized(THICKNESS_RAYS, THICKNESS_RAYS)
    water_mm = areal_density(parts, few).sum(axis=-1) / CM_PER_MM
    body = water_mm > LEAST_BODY_MM
    return float(np.median(water_mm[body])) if body.any() else 0.0


def _corners(voxel_from_camera: NDArray[np.float64], shape: tuple[int, ...]) -> Tensor:
    """Return [8,3] float64 corners (camera mm) of all that a grid can add to.

    That is one voxel around it, too.
    """
    camera_from_voxel = np.asarray(np.linalg.inv(voxel_from_camera), dtype=np.float64)
    depth, height, width = shape[:3]
    ends = [(-1.0, float(size)) for size in (width, height, depth)]
    corners = np.array(list(itertools.product(*ends)))
    return torch.from_numpy(corners @ camera_from_voxel[:3, :3].T + camera_from_voxel[:3, 3])


def _pixels_for_each_ray(grid: MaterialGrid, corners: Tensor, camera: Camera) -> int:
    """Return how many pixels along each side a ray may stand for: a grid shows nothing finer."""
    if float(corners[:, 2].min()) <= 0.0:
        return 1
    depth_mm = float(corners[:, 2].mean())
    voxel_mm = float(torch.linalg.norm(grid.part_from_voxel[:3, :3], dim=0).min())
    widest_mm = VOXELS_BETWEEN_RAYS * voxel_mm * camera.source_to_detector_mm / depth_mm
    return max(1, int(widest_mm / max(camera.pixel_spacing_mm)))


def _shadow(corners: Tensor, camera: Camera, pixels: int) -> tuple[range, range]:
    """Return rows and columns of rays that meet a grid; all if it reaches behind the source."""
    if float(corners[:, 2].min()) <= 0.0:
        low, high = np.zeros(2), np.array([camera.columns, camera.rows])
    else:
        on_image = camera.project(corners).numpy()
        low, high = on_image.min(axis=0), on_image.max(axis=0) + 1.0
    size = np.ceil(np.array([camera.columns, camera.rows]) / pixels)
    first = np.clip(np.floor(low / pixels), 0, size).astype(int).tolist()
    last = np.clip(np.ceil(high / pixels), 0, size).astype(int).tolist()
    return range(first[1], last[1]), range(first[0], last[0])


def _window(camera: Camera, rows: range, columns: range, pixels: int) -> Camera:
    """Return every ``pixels``-th ray of a part of the image, with the margin for upsampling."""
    column, row = ((point + 0.5) / pixels - 0.5 + MARGIN for point in camera.centre_px)
    row_mm, column_mm = camera.pixel_spacing_mm
    return Camera(
        source_to_detector_mm=camera.source_to_detector_mm,
        rows=len(rows) + 2 * MARGIN,
        columns=len(columns) + 2 * MARGIN,
        pixel_spacing_mm=(row_mm * pixels, column_mm * pixels),
        principal_point_px=(column - columns.start, row - rows.start),
    )
