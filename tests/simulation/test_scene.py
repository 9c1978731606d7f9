"""Masses along rays, of parts known by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3
from wsreg.rendering.render import render
from wsreg.simulation.joseph import project, voxel_from_camera
from wsreg.simulation.materials import MATERIALS
from wsreg.simulation.scene import (
    CM_PER_MM,
    MaterialGrid,
    ScenePart,
    areal_density,
    body_thickness_mm,
)
from wsreg.volumes.volume import WATER_ATTENUATION_PER_MM, Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=15, columns=25, pixel_spacing_mm=(4.0, 4.0))
SOFT, BONE = MATERIALS.index("soft tissue"), MATERIALS.index("cortical bone")


def _slab(density: dict[str, float], *, side: int = 100, layers: int = 5) -> MaterialGrid:
    """``side`` x ``side`` mm across the beam, ``layers`` x 2 mm along it, centred at 0."""
    values = np.broadcast_to(
        np.array(tuple(density.values()), dtype=np.float32), (layers, side, side, len(density))
    )
    affine = torch.diag(torch.tensor([1.0, 1.0, 2.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = -torch.tensor([(side - 1) / 2, (side - 1) / 2, layers - 1.0])
    return MaterialGrid(density=values, materials=tuple(density), part_from_voxel=affine)


def _at(x: float = 0.0, y: float = 0.0, depth: float = 700.0) -> Tensor:
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = torch.tensor([x, y, depth])
    return pose


def test_a_slab_of_bone_weighs_its_density_times_its_thickness() -> None:
    part = ScenePart(grid=_slab({"cortical bone": 1.92}), camera_from_part=_at())
    seen = areal_density([part], CAMERA)
    assert seen.shape == (15, 25, 5)
    assert seen[7, 12, BONE] == pytest.approx(1.92 * 1.0, rel=1e-5)  # 10 mm
    assert np.count_nonzero(seen.sum(axis=(0, 1))) == 1


def test_parts_add_up_material_by_material() -> None:
    bone = ScenePart(
        grid=_slab({"soft tissue": -0.05, "cortical bone": 1.0}, side=20), camera_from_part=_at()
    )
    body = ScenePart(grid=_slab({"soft tissue": 1.05}, layers=50), camera_from_part=_at(depth=750))
    seen = areal_density([bone, body], CAMERA)
    alone = areal_density([body], CAMERA)
    assert seen[7, 12, SOFT] == pytest.approx(1.05 * 10.0 - 0.05, rel=1e-5)
    assert seen[7, 12, BONE] == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_array_equal(seen[:, :4], alone[:, :4])  # beside the bone


def test_a_negative_part_cancels_exactly() -> None:
    one = _slab({"soft tissue": 1.05, "fat": 0.2})
    minus = dataclasses.replace(one, density=-one.density)
    pose = _at(x=3.3, y=-1.7)
    parts = [ScenePart(grid=g, camera_from_part=pose) for g in (one, minus)]
    assert areal_density(parts[:1], CAMERA).max() > 1.0
    assert areal_density(parts, CAMERA).max() == 0.0
    assert areal_density(parts[1:], CAMERA).max() == 0.0  # never below zero


@pytest.mark.parametrize(
    "pose", [_at(depth=-300.0), _at(depth=1200.0), _at(x=900.0), _at(y=-900.0)]
)
def test_nothing_behind_the_source_or_the_detector_or_beside_the_image(pose: Tensor) -> None:
    part = ScenePart(grid=_slab({"cortical bone": 1.9}), camera_from_part=pose)
    assert areal_density([part], CAMERA).max() == 0.0


@pytest.mark.parametrize("pose", [_at(), _at(x=40.3), _at(x=-40.3, y=21.7), _at(depth=960.0)])
def test_a_part_is_seen_whole_wherever_it_lies(pose: Tensor) -> None:
    """The pixels that a part is projected to are those that the whole image would show."""
    grid = _slab({"cortical bone": 1.0}, side=20, layers=10)
    affine = voxel_from_camera(grid.part_from_voxel, pose)
    whole = CM_PER_MM * project(grid.density, grid.occupied, affine, CAMERA)[..., 0]
    seen = areal_density([ScenePart(grid=grid, camera_from_part=pose)], CAMERA)[..., BONE]
    assert whole.max() > 1.0
    np.testing.assert_allclose(seen, whole, atol=1e-4)


def test_a_part_around_the_source_is_integrated_from_the_source_on() -> None:
    part = ScenePart(grid=_slab({"soft tissue": 1.0}), camera_from_part=_at(depth=0.0))
    seen = areal_density([part], CAMERA)
    assert seen[7, 12, SOFT] == pytest.approx(0.1 * 2.0 * 3, rel=1e-4)  # planes at 0, 2 and 4 mm


def test_rays_may_be_coarser_than_pixels() -> None:
    """Pixels far finer than the voxels are interpolated, at worst at the rim of something hard."""
    fine = CAMERA.resized(300, 500)
    distance = np.hypot(np.hypot(*np.ogrid[-9:10, -9:10]), np.arange(-9, 10)[:, None, None])
    ball = np.clip(7.5 - distance, 0.0, 1.0).astype(np.float32)
    grid = MaterialGrid(
        density=1.5 * ball[..., None], materials=("cortical bone",), part_from_voxel=torch.eye(4)
    )
    pose = _at(x=-9.0, y=-9.0)
    affine = voxel_from_camera(grid.part_from_voxel, pose)
    every_ray = CM_PER_MM * project(grid.density, grid.occupied, affine, fine)[..., 0]
    seen = areal_density([ScenePart(grid=grid, camera_from_part=pose)], fine)[..., BONE]
    assert np.abs(seen - every_ray).max() < 0.04 * every_ray.max()
    assert np.sqrt(np.mean((seen - every_ray) ** 2)) < 0.003 * every_ray.max()


@pytest.mark.parametrize("pixel_mm", [4.0, 0.8])
def test_one_energy_agrees_with_the_reference_renderer(pixel_mm: float) -> None:
    """No code is shared, whether every pixel has its ray (4 mm) or some are interpolated."""
    shape = (30, 34, 38)
    bells = [torch.exp(-(((torch.arange(n) - 0.45 * n) / (0.15 * n)) ** 2)) for n in shape]
    density = 2.0 * bells[0][:, None, None] * bells[1][:, None] * bells[2]
    affine = torch.diag(torch.tensor([1.5, 1.0, 2.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([-28.0, -17.0, -29.0])
    pose = _at(x=3.0)
    pose[:3, :3] = exp_so3(torch.tensor([0.4, -0.3, 0.2], dtype=torch.float64))
    camera = CAMERA.resized(int(60.0 / pixel_mm), int(100.0 / pixel_mm))

    grid = MaterialGrid(
        density=density[..., None].numpy(), materials=("fat",), part_from_voxel=affine
    )
    seen = areal_density([ScenePart(grid=grid, camera_from_part=pose)], camera)
    per_mm = CM_PER_MM * density  # the attenuation of 1 cm2/g
    hu = per_mm / WATER_ATTENUATION_PER_MM * 1000.0 - 1000.0
    volume = Volume(hu=hu, ct_from_voxel=affine, air_hu=-1000.0)
    rendered = render(volume, camera, pose, backend="reference")[0, 0].numpy()
    error = np.abs(seen[..., MATERIALS.index("fat")] - rendered)
    assert error.max() < 0.005 * rendered.max()


def test_thickness_of_a_body_in_the_beam() -> None:
    part = ScenePart(
        grid=_slab({"soft tissue": 0.8, "fat": 0.2}, layers=90), camera_from_part=_at()
    )
    assert body_thickness_mm([part], CAMERA) == pytest.approx(180.0, rel=0.01)
    assert body_thickness_mm([], CAMERA) == 0.0


@pytest.mark.parametrize(
    "change",
    [
        {"density": np.zeros((2, 2, 2, 2), np.float32)},
        {"density": np.zeros((2, 2, 2), np.float32)},
        {"materials": ("cheese",)},
        {"part_from_voxel": torch.zeros(4, 4)},
    ],
)
def test_impossible_grids_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="grid"):
        dataclasses.replace(_slab({"fat": 0.9}), **change)
