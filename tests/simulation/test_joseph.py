"""The Joseph projector against integrals known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.rendering.render import render
from wsreg.simulation.joseph import (
    _inside,
    _neighbours,
    occupied_blocks,
    project,
    project_attenuation,
    voxel_from_camera,
)
from wsreg.volumes.volume import WATER_ATTENUATION_PER_MM, Volume

SPACING_MM = (1.0, 1.25, 1.5)
DISTANCE_MM = 500.0


def _camera(size: int = 21, spacing_mm: float = 4.0) -> Camera:
    return Camera(
        source_to_detector_mm=1000.0,
        rows=size,
        columns=size,
        pixel_spacing_mm=(spacing_mm, spacing_mm),
    )


def _project(maps: np.ndarray, affine: np.ndarray, camera: Camera) -> np.ndarray:
    return project(maps, occupied_blocks(maps), affine, camera)


def _volume(attenuation: Tensor, ct_from_voxel: Tensor) -> Volume:
    """A volume whose attenuation is the given one (multiples of water)."""
    hu = attenuation * 1000.0 - 1000.0
    return Volume(hu=hu, ct_from_voxel=ct_from_voxel, air_hu=-1000.0)


def _centred(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Tensor:
    """An affine that puts the middle of a [D,H,W] grid at the origin."""
    affine = torch.diag(torch.tensor([*spacing_mm, 1.0], dtype=torch.float64))
    middle = torch.tensor([(n - 1) / 2 for n in reversed(shape)], dtype=torch.float64)
    affine[:3, 3] = -affine[:3, :3] @ middle
    return affine


def _looking_along(axis: int) -> Tensor:
    """A pose with the origin on the optical axis, which runs along the given CT axis."""
    pose = torch.zeros((4, 4), dtype=torch.float64)
    for row, source in enumerate(((axis + 1) % 3, (axis + 2) % 3, axis)):
        pose[row, source] = 1.0
    pose[3, 3] = 1.0
    pose[2, 3] = DISTANCE_MM
    return pose


def _rotation(seed: int) -> Tensor:
    matrix, _ = torch.linalg.qr(
        torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    )
    proper: Tensor = matrix * torch.linalg.det(matrix)
    return proper


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_central_ray_through_a_column_of_voxels_reads_their_sum(axis: int) -> None:
    shape = (5, 5, 5)
    maps = torch.zeros(shape)
    index: list[int | slice] = [2, 2, 2]
    index[2 - axis] = slice(None)
    maps[tuple(index)] = torch.tensor([1.0, 2.0, 0.0, 4.0, 8.0])
    volume = _volume(maps, _centred(shape, SPACING_MM))
    affine = voxel_from_camera(volume.ct_from_voxel, _looking_along(axis))
    integral = _project(maps.numpy()[..., None], affine, _camera(size=1))
    assert integral.shape == (1, 1, 1)
    assert integral.item() == pytest.approx(15.0 * SPACING_MM[axis], rel=1e-6)


def test_ray_half_way_between_two_columns_reads_their_mean() -> None:
    maps = np.zeros((4, 1, 2, 1), dtype=np.float32)
    maps[:, 0, 0], maps[:, 0, 1] = 1.0, 3.0
    affine = voxel_from_camera(_centred((4, 1, 2), (1.0, 1.0, 1.0)), _looking_along(2))
    integral = _project(maps, affine, _camera(size=1))
    assert integral.item() == pytest.approx(4 * 2.0)


def test_each_map_is_integrated_on_its_own() -> None:
    maps = np.random.default_rng(0).random((6, 7, 8, 3), dtype=np.float32)
    affine = voxel_from_camera(_centred((6, 7, 8), SPACING_MM), _looking_along(1))
    together = _project(maps, affine, _camera())
    for index in range(3):
        alone = _project(maps[..., index : index + 1].copy(), affine, _camera())[..., 0]
        np.testing.assert_allclose(together[..., index], alone, rtol=1e-6)
    assert together.max() > 0


@pytest.mark.parametrize("seed", range(4))
def test_sphere_in_any_orientation_reads_its_chords(seed: int) -> None:
    shape, radius_mm = (60, 72, 90), 40.0
    ct_from_voxel = _centred(shape, SPACING_MM)
    ct_from_voxel[:3] = _rotation(seed + 10) @ ct_from_voxel[:3]
    grids = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
    points = torch.stack(tuple(reversed(grids)), dim=-1) @ ct_from_voxel[:3, :3].T
    distance = torch.linalg.norm(points + ct_from_voxel[:3, 3], dim=-1)
    inside = (radius_mm - distance + 0.5).clamp(0.0, 1.0).to(torch.float32)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = _rotation(seed)
    pose[2, 3] = DISTANCE_MM

    camera = _camera(spacing_mm=6.0)
    image = project_attenuation(_volume(inside, ct_from_voxel), camera, pose)

    offset = torch.hypot(*torch.meshgrid(*(torch.arange(21) * 6.0 - 60.0,) * 2, indexing="ij"))
    miss_mm = DISTANCE_MM * torch.sin(torch.atan(offset / 1000.0))
    chord = 2 * torch.sqrt((radius_mm**2 - miss_mm**2).clamp(min=0.0))
    expected = WATER_ATTENUATION_PER_MM * chord
    error = (image - expected).abs() / expected.max()
    assert error[miss_mm < 0.9 * radius_mm].max() < 0.01
    assert image[miss_mm > radius_mm + 2.0].max() == 0.0


def test_oblique_rays_through_a_slab_grow_with_the_secant() -> None:
    maps = np.ones((3, 200, 200, 1), dtype=np.float32)
    affine = voxel_from_camera(_centred((3, 200, 200), (2.0, 2.0, 5.0)), _looking_along(2))
    integral = _project(maps, affine, _camera(size=5, spacing_mm=100.0))[..., 0]
    assert integral[2, 2] == pytest.approx(15.0)
    assert integral[2, 4] == pytest.approx(15.0 * math.hypot(1.0, 0.2), rel=1e-6)
    assert integral[0, 0] == pytest.approx(15.0 * math.sqrt(1.0 + 2 * 0.2**2), rel=1e-6)


def test_nothing_beyond_the_grid_the_source_or_the_detector() -> None:
    shape = (3, 3, 3)
    volume = _volume(torch.ones(shape), _centred(shape, (1.0, 1.0, 1.0)))
    aside = _looking_along(2)
    aside[0, 3] = 200.0
    behind_source, behind_detector = _looking_along(2), _looking_along(2)
    behind_source[2, 3] = -DISTANCE_MM
    behind_detector[2, 3] = 1010.0
    for pose in (aside, behind_source, behind_detector):
        assert float(project_attenuation(volume, _camera(), pose).max()) == 0.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_agrees_with_the_registrations_renderer(axis: int) -> None:
    """Two projectors that share no code, on one grid."""
    shape = (40, 48, 56)
    affine = _centred(shape, (1.5, 1.0, 2.0))
    affine[:3] = _rotation(axis) @ affine[:3]
    bells = [torch.exp(-(((torch.arange(n) - 0.4 * n) / (0.12 * n)) ** 2)) for n in shape]
    attenuation = bells[0][:, None, None] * bells[1][:, None] * bells[2]
    volume = _volume(attenuation, affine)
    pose = _looking_along(axis)
    image = project_attenuation(volume, _camera(), pose)
    difference = (render(volume, _camera(), pose)[0, 0] - image).abs()
    assert difference.max() < 0.005 * image.max()
    assert image.std() > 0.1 * image.max()


def test_neighbours_never_leave_the_grid() -> None:
    """Positions that rounding has pushed past the ends, too."""
    for position in (-1.0 - 1e-9, -1.0, -1e-12, 0.0, 4.0 - 1e-12, 4.0, 5.0 - 1e-12, 5.0, 6.0):
        low, high, low_weight, high_weight = _neighbours(position, 5)
        assert 0 <= low < 5
        assert 0 <= high < 5
        assert low_weight + high_weight <= 1.0 + 1e-12
        if not -1.0 < position < 5.0:
            assert low_weight + high_weight < 1e-8
    assert not _inside((0.0, 4.0 - 1e-9), 5)  # rounds to 4, whose neighbour is 5
    assert _inside((0.0, 3.99), 5)
