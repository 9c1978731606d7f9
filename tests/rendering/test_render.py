"""render and render_with_jacobian: known values, parity of the backends, derivatives, errors."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from wsreg.errors import BackendError, InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.rendering.prepared import PreparedVolume
from wsreg.rendering.render import render, render_with_jacobian, resolve_backend
from wsreg.simulation.joseph import project_attenuation
from wsreg.vocabulary import Backend
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import WATER_ATTENUATION_PER_MM, Volume

BACKENDS = ("numba", "reference")
ROIS: tuple[int | tuple[int, ...], ...] = (1, (2, 3), 3)
VIEWS = ("PA", "AP", "LAT", "axial", "oblique")


def relative(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


def one_pixel_camera() -> Camera:
    return Camera(source_to_detector_mm=1000.0, rows=1, columns=1, pixel_spacing_mm=(1.0, 1.0))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("view", ["PA", "AP", "LAT"])
def test_a_ray_through_a_slab_of_water(backend: Backend, view: str) -> None:
    hu = torch.full((9, 9, 9), -1000.0)
    hu[2:7, 2:7, 2:7] = 0.0
    affine = torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64))
    volume = Volume(hu=hu, ct_from_voxel=affine)
    pose = view_pose(volume, one_pixel_camera(), view)
    image = render(volume, one_pixel_camera(), pose, backend=backend)
    assert image.shape == (1, 1, 1, 1)
    # Five voxels of 2 mm.
    assert float(image) == pytest.approx(5 * 2.0 * WATER_ATTENUATION_PER_MM, rel=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_slanted_ray_is_longer(backend: Backend) -> None:
    hu = torch.full((41, 41, 41), 0.0)
    volume = Volume(hu=hu, ct_from_voxel=torch.eye(4, dtype=torch.float64))
    camera = one_pixel_camera()
    pose = perturb(
        view_pose(volume, camera),
        torch.tensor([0.0, 0.3, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64),
        volume.centre_mm,
    )
    image = render(volume, camera, pose, backend=backend)
    expected = 41 * WATER_ATTENUATION_PER_MM / math.cos(0.3)
    assert float(image) == pytest.approx(expected, rel=1e-4)


def test_the_chord_of_a_sphere() -> None:
    n, radius_mm, spacing_mm = 81, 30.0, 1.0
    axis = (torch.arange(n) - (n - 1) / 2) * spacing_mm
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    inside = (radius_mm + 0.5 - (x**2 + y**2 + z**2).sqrt()).clamp(0, 1)
    volume = Volume(
        hu=inside * 1000 - 1000, ct_from_voxel=torch.eye(4, dtype=torch.float64), air_hu=-1000.0
    )
    camera = Camera(source_to_detector_mm=1000.0, rows=1, columns=61, pixel_spacing_mm=(1.0, 1.0))
    image = render(volume, camera, view_pose(volume, camera))[0, 0, 0] / WATER_ATTENUATION_PER_MM
    offset_mm = (torch.arange(61) - 30) * 1.0
    # Distance of each ray from the centre, 700 mm away from the source.
    distance = 700.0 * offset_mm / (offset_mm**2 + 1000.0**2).sqrt()
    chord = 2 * (radius_mm**2 - distance**2).clamp_min(0).sqrt()
    assert float((image - chord).abs().max()) < 0.5
    assert float(image[30]) == pytest.approx(60.0, rel=2e-3)


@pytest.mark.parametrize("step_mm", [None, 4.0])
@pytest.mark.parametrize("view", VIEWS)
def test_numba_agrees_with_the_reference(
    noisy_volume: Volume, camera: Camera, poses: dict[str, Tensor], view: str, step_mm: float | None
) -> None:
    image, jacobian = render_with_jacobian(
        noisy_volume, camera, poses[view], rois=ROIS, step_mm=step_mm, backend="reference"
    )
    fast, fast_jacobian = render_with_jacobian(
        noisy_volume, camera, poses[view], rois=ROIS, step_mm=step_mm, backend="numba"
    )
    assert fast.shape == (1, 4, 21, 37)
    assert fast_jacobian.shape == (1, 4, 21, 37, 6)
    for channel in range(4):
        assert relative(fast[:, channel], image[:, channel]) < 1e-4
        # A sample on a voxel boundary has two slopes: float32 may see the other one.
        assert relative(fast_jacobian[:, channel], jacobian[:, channel]) < 1e-2
    differing = (fast_jacobian - jacobian).abs() > 1e-3 * jacobian.abs().amax()
    assert float(differing.float().mean()) < 1e-3


@pytest.mark.parametrize("backend", BACKENDS)
def test_rois_alone_are_the_other_channels(
    noisy_volume: Volume, camera: Camera, poses: dict[str, Tensor], backend: Backend
) -> None:
    small = camera.resized(5, 9)
    pose = poses["PA"]
    both = render_with_jacobian(noisy_volume, small, pose, rois=ROIS, backend=backend)
    alone = render_with_jacobian(
        noisy_volume, small, pose, rois=ROIS, attenuation=False, backend=backend
    )
    for whole, part in zip(both, alone, strict=True):
        assert torch.equal(part, whole[:, 1:])
    moving = pose.clone().requires_grad_()
    lengths = render(noisy_volume, small, moving, rois=ROIS, attenuation=False, backend=backend)
    assert torch.equal(lengths.detach(), alone[0])
    assert bool(torch.autograd.grad(lengths.sum(), moving)[0].any())
    with pytest.raises(InputError, match="rois must name labels where attenuation is left out"):
        render(noisy_volume, small, pose, attenuation=False, backend=backend)


@pytest.mark.parametrize("columns", [1, 7, 8, 9, 16])
def test_any_image_width(noisy_volume: Volume, camera: Camera, columns: int) -> None:
    narrow = camera.resized(3, columns)
    pose = view_pose(noisy_volume, narrow)
    expected = render(noisy_volume, narrow, pose, rois=[2], backend="reference")
    assert relative(render(noisy_volume, narrow, pose, rois=[2], backend="numba"), expected) < 1e-4


def test_a_batch_of_views_with_different_axes(
    noisy_volume: Volume, camera: Camera, poses: dict[str, Tensor]
) -> None:
    batch = torch.stack(list(poses.values()))
    image, jacobian = render_with_jacobian(noisy_volume, camera, batch, rois=[3])
    for number, pose in enumerate(batch):
        alone, alone_jacobian = render_with_jacobian(noisy_volume, camera, pose, rois=[3])
        assert torch.equal(image[number], alone[0])
        assert torch.equal(jacobian[number], alone_jacobian[0])


def test_the_jacobian_is_that_of_central_differences(smooth_volume: Volume, camera: Camera) -> None:
    pose = perturb(
        view_pose(smooth_volume, camera),
        torch.tensor([0.2, 0.1, -0.1, 3.0, -4.0, 10.0], dtype=torch.float64),
        smooth_volume.centre_mm,
    )
    pivot = torch.tensor([30.0, 20.0, 60.0], dtype=torch.float64)
    _, jacobian = render_with_jacobian(
        smooth_volume, camera, pose, pivot_mm=pivot, backend="reference"
    )
    _, fast = render_with_jacobian(smooth_volume, camera, pose, pivot_mm=pivot, backend="numba")
    h = 1e-4
    for axis, step in enumerate(torch.eye(6, dtype=torch.float64) * h):
        ahead = render(smooth_volume, camera, perturb(pose, step, pivot), backend="reference")
        behind = render(smooth_volume, camera, perturb(pose, -step, pivot), backend="reference")
        difference = (ahead - behind) / (2 * h)
        assert relative(jacobian[..., axis], difference) < 1e-3
        assert relative(fast[..., axis], difference) < 1e-3


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_to_a_pose_are_the_jacobian(
    smooth_volume: Volume, camera: Camera, backend: Backend
) -> None:
    poses = torch.stack(
        [view_pose(smooth_volume, camera, "PA"), view_pose(smooth_volume, camera, "LAT")]
    )
    pivot = smooth_volume.centre_mm + 7.0
    weights = torch.randn(
        2, 1, 21, 37, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    twist = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    moved = perturb(poses, twist, pivot)
    loss = (render(smooth_volume, camera, moved, backend=backend) * weights).sum()
    (gradient,) = torch.autograd.grad(loss, twist)
    _, jacobian = render_with_jacobian(
        smooth_volume, camera, poses, pivot_mm=pivot, backend="reference"
    )
    expected = torch.einsum("bchw,bchwj->bj", weights, jacobian.double())
    assert gradient.dtype == torch.float64
    assert relative(gradient, expected) < 1e-3


def test_what_lies_behind_the_source_or_beyond_the_detector_is_not_seen(
    noisy_volume: Volume, camera: Camera
) -> None:
    pose = view_pose(noisy_volume, camera)
    for shift_mm in (-700.0, 300.0):
        moved = pose.clone()
        moved[2, 3] += shift_mm
        expected = render(noisy_volume, camera, moved, rois=[1], backend="reference")
        image = render(noisy_volume, camera, moved, rois=[1], backend="numba")
        assert relative(image, expected) < 1e-4
        assert float(expected.max()) > 0
    moved = pose.clone()
    moved[2, 3] -= 2000.0
    assert float(render(noisy_volume, camera, moved).abs().max()) == 0.0


def test_skipping_empty_space_changes_nothing(camera: Camera) -> None:
    hu = torch.full((40, 60, 50), -1000.0)
    hu[5:9, 40:44, 30:33] = 500.0
    hu[30, 3, 3] = 900.0
    affine = torch.eye(4, dtype=torch.float64)
    hollow = Volume(hu=hu, ct_from_voxel=affine)
    full = Volume(hu=hu.clamp_min(-999.99), ct_from_voxel=affine, air_hu=-1000.0)
    for view in ("PA", "LAT"):
        pose = view_pose(hollow, camera, view)
        difference = render(hollow, camera, pose) - render(full, camera, pose)
        assert float(difference.abs().max()) < 1e-4


def test_empty_and_unseen_volumes_are_zero(camera: Camera) -> None:
    volume = Volume(
        hu=torch.full((4, 4, 4), -1000.0), ct_from_voxel=torch.eye(4, dtype=torch.float64)
    )
    image, jacobian = render_with_jacobian(volume, camera, view_pose(volume, camera))
    assert float(image.abs().max()) == 0.0
    assert float(jacobian.abs().max()) == 0.0


def test_it_agrees_with_the_simulators_own_projector(smooth_volume: Volume, camera: Camera) -> None:
    pose = view_pose(smooth_volume, camera, "LAT")
    image = render(smooth_volume, camera, pose)[0, 0]
    other = project_attenuation(smooth_volume, camera, pose)
    assert float((image - other).abs().max()) < 0.005 * float(other.max())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_prepared_volume_renders_as_its_volume_does(
    noisy_volume: Volume, camera: Camera, poses: dict[str, Tensor], backend: Backend
) -> None:
    small, prepared = camera.resized(4, 7), PreparedVolume(volume=noisy_volume)
    plain = render_with_jacobian(noisy_volume, small, poses["PA"], rois=[1], backend=backend)
    image, jacobian = render_with_jacobian(prepared, small, poses["PA"], rois=[1], backend=backend)
    assert torch.equal(image, plain[0])
    assert torch.equal(jacobian, plain[1])
    assert torch.equal(render(prepared, small, poses["PA"], rois=[1], backend=backend), image)


def test_no_poses_make_no_images(noisy_volume: Volume, camera: Camera) -> None:
    image, jacobian = render_with_jacobian(noisy_volume, camera, torch.empty((0, 4, 4)), rois=[1])
    assert image.shape == (0, 2, 21, 37)
    assert jacobian.shape == (0, 2, 21, 37, 6)


def test_bad_arguments_are_named(noisy_volume: Volume, camera: Camera) -> None:
    pose = view_pose(noisy_volume, camera)
    with pytest.raises(InputError, match=r"camera_from_ct must be \[4,4\].*got \[3, 4\]"):
        render(noisy_volume, camera, pose[:3])
    with pytest.raises(InputError, match=r"rois must be labels of the volume \[1, 2, 3\].*\[9\]"):
        render(noisy_volume, camera, pose, rois=[1, 9])
    with pytest.raises(InputError, match=r"step_mm must be positive and finite, got -1"):
        render(noisy_volume, camera, pose, step_mm=-1.0)
    with pytest.raises(InputError, match="backend must be one of"):
        render(noisy_volume, camera, pose, backend="cuda")  # type: ignore[arg-type]
    wide = Camera(source_to_detector_mm=10.0, rows=9, columns=9, pixel_spacing_mm=(5.0, 5.0))
    with pytest.raises(InputError, match="within 30 degrees"):
        render(noisy_volume, wide, pose)


def test_auto_takes_what_runs_and_an_explicit_backend_fails_loudly() -> None:
    assert resolve_backend("auto", "cpu") == "numba"
    assert resolve_backend("auto", "meta") == "reference"
    with pytest.raises(BackendError, match="numba renders on the CPU"):
        resolve_backend("numba", "meta")
