"""What an X-ray is made of: parts, each with its own voxel grid and its own pose."""

from __future__ import annotations

import dataclasses
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

Float32Array = NDArray[np.float32]

CM_PER_MM = 0.1


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
        """[D/8,H/8,W/8] the blocks of voxels that hold anything."""
        blocks: NDArray[np.bool_] = occupied_blocks(self.density)
        return blocks


@dataclass(frozen=True, kw_only=True, eq=False)
class ScenePart:
    """One rigid part of a scene.

    Args:
        grid: what it is made of; any number of parts, and of X-rays, may share one.
        camera_from_part: [4,4] float64 rigid pose, part mm -> camera mm.
    """

    grid: MaterialGrid
    camera_from_part: Tensor


def areal_density(parts: Sequence[ScenePart], camera: Camera) -> Float32Array:
    """Mass of each material along the ray of every pixel, all parts together.

    Returns:
        [rows,columns,5] float32 g/cm2 of ``MATERIALS``; never negative, as the sum is cut at 0.
    """
    total = np.zeros((camera.rows, camera.columns, len(MATERIALS)), dtype=np.float32)
    for part in parts:
        affine = voxel_from_camera(part.grid.part_from_voxel, part.camera_from_part)
        rows, columns = _shadow(affine, part.grid.density.shape, camera)
        if rows.stop <= rows.start or columns.stop <= columns.start:
            continue
        integrals = project(
            part.grid.density, part.grid.occupied, affine, _window(camera, rows, columns)
        )
        for channel, material in enumerate(part.grid.materials):
            seen = total[rows, columns, MATERIALS.index(material)]
            seen += CM_PER_MM * integrals[..., channel]
    return np.maximum(total, 0.0, out=total)


def _shadow(
    affine: NDArray[np.float64], shape: tuple[int, ...], camera: Camera
) -> tuple[slice, slice]:
    """Rows and columns of the pixels that a grid can reach; all if it reaches behind the source."""
    depth, height, width = shape[:3]
    ends = [(-1.0, float(n)) for n in (width, height, depth)]
    corners = torch.tensor(list(itertools.product(*ends)), dtype=torch.float64)
    camera_from_voxel = torch.from_numpy(np.linalg.inv(affine))
    in_camera = corners @ camera_from_voxel[:3, :3].T + camera_from_voxel[:3, 3]
    if float(in_camera[:, 2].min()) <= 0.0:
        return slice(0, camera.rows), slice(0, camera.columns)
    pixels = camera.project(in_camera).numpy()
    low, high = np.floor(pixels.min(axis=0)), np.ceil(pixels.max(axis=0)) + 1.0
    size = (camera.columns, camera.rows)
    column_low, row_low = (int(v) for v in np.clip(low, 0, size))
    column_high, row_high = (int(v) for v in np.clip(high, 0, size))
    return slice(row_low, row_high), slice(column_low, column_high)


def _window(camera: Camera, rows: slice, columns: slice) -> Camera:
    """The camera with a part of its pixels only."""
    column, row = camera.centre_px
    return dataclasses.replace(
        camera,
        rows=rows.stop - rows.start,
        columns=columns.stop - columns.start,
        principal_point_px=(column - columns.start, row - rows.start),
    )
