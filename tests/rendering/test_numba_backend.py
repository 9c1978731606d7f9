"""The compiled renderer where its float32, its tiles and its grids could go wrong."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, perturb, rigid
from wsreg.rendering.render import render, render_with_jacobian
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume


def relative(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


def centred_pose(volume: Volume, rotation_rad: list[float], depth_mm: float) -> Tensor:
    turn = exp_so3(torch.tensor(rotation_rad, dtype=torch.float64))
    centre = torch.tensor([0.0, 0.0, depth_mm], dtype=torch.float64)
    return rigid(turn, centre - turn @ volume.centre_mm)


@pytest.mark.parametrize("distance_mm", [1e3, 1e4, 1e6])
def test_a_far_source_costs_no_digits(smooth_volume: Volume, distance_mm: float) -> None:
    camera = Camera(
        source_to_detector_mm=distance_mm, rows=9, columns=9, pixel_spacing_mm=(8.0, 8.0)
    )
    pose = centred_pose(smooth_volume, [0.3, 0.5, -0.2], 0.7 * distance_mm)
    expected = render(smooth_volume, camera, pose, backend="reference")
    assert relative(render(smooth_volume, camera, pose), expected) < 1e-5


@pytest.mark.parametrize("columns", [3, 4])
def test_lanes_beyond_the_last_column_do_not_reach_the_others(
    noisy_volume: Volume, columns: int
) -> None:
    # Columns so wide that the lanes which fill up the last vector would look along the planes.
    camera = Camera(
        source_to_detector_mm=1000.0, rows=1, columns=columns, pixel_spacing_mm=(1.0, 250.0)
    )
    for angle_rad in (-0.78, 0.78):
        pose = centred_pose(noisy_volume, [0.0, angle_rad, 0.0], 150.0)
        expected = render(noisy_volume, camera, pose, rois=[1], backend="reference")
        assert relative(render(noisy_volume, camera, pose, rois=[1]), expected) < 1e-4


@pytest.mark.parametrize(("rows", "columns"), [(1, 45), (9, 1), (17, 8)])
def test_any_number_of_rows_and_columns(noisy_volume: Volume, rows: int, columns: int) -> None:
    camera = Camera(
        source_to_detector_mm=1000.0, rows=rows, columns=columns, pixel_spacing_mm=(5.0, 3.0)
    )
    pose = view_pose(noisy_volume, camera, "LAT")
    arguments = (noisy_volume, camera, pose)
    image, jacobian = render_with_jacobian(*arguments, rois=[2], backend="reference")
    fast, fast_jacobian = render_with_jacobian(*arguments, rois=[2])
    assert relative(fast, image) < 1e-4
    assert relative(fast_jacobian, jacobian) < 1e-2  # slopes jump at voxel boundaries


def test_rois_may_overlap(noisy_volume: Volume, camera: Camera) -> None:
    pose = view_pose(noisy_volume, camera)
    image, jacobian = render_with_jacobian(noisy_volume, camera, pose, rois=[(1, 2), 2, (3, 1)])
    alone, alone_jacobian = render_with_jacobian(noisy_volume, camera, pose, rois=[1, 2, 3])
    for channel, parts in enumerate(([0], [1, 2], [2], [1, 3])):
        torch.testing.assert_close(image[:, channel], alone[:, parts].sum(dim=1))
        torch.testing.assert_close(jacobian[:, channel], alone_jacobian[:, parts].sum(dim=1))


def test_a_roi_out_of_view_has_no_length(noisy_volume: Volume, camera: Camera) -> None:
    assert noisy_volume.labels is not None
    labels = torch.zeros_like(noisy_volume.labels)
    labels[0, 0, 0] = 5
    corner = Volume(hu=noisy_volume.hu, ct_from_voxel=noisy_volume.ct_from_voxel, labels=labels)
    narrow = Camera(source_to_detector_mm=1000.0, rows=3, columns=3, pixel_spacing_mm=(1.0, 1.0))
    image, jacobian = render_with_jacobian(corner, narrow, view_pose(corner, narrow), rois=[5])
    assert float(image[:, 0].min()) > 0
    assert not image[:, 1].any()
    assert not jacobian[:, 1].any()


def test_a_roi_is_as_long_as_its_voxels(camera: Camera) -> None:
    labels = torch.zeros(7, 7, 7, dtype=torch.int16)
    labels[2:5, 1:6, 2:5] = 300
    volume = Volume(
        hu=torch.zeros(7, 7, 7),
        ct_from_voxel=torch.diag(torch.tensor([2.0, 3.0, 2.0, 1.0], dtype=torch.float64)),
        labels=labels,
    )
    pixel = Camera(source_to_detector_mm=1000.0, rows=1, columns=1, pixel_spacing_mm=(1.0, 1.0))
    image = render(volume, pixel, view_pose(volume, pixel), rois=[300])
    assert float(image[0, 1]) == pytest.approx(5 * 3.0, rel=1e-5)


def test_another_pivot_mixes_the_columns_by_the_chain_rule(
    smooth_volume: Volume, camera: Camera
) -> None:
    pose = centred_pose(smooth_volume, [0.2, -0.4, 0.1], 700.0)
    shift = torch.tensor([12.0, -7.0, 20.0], dtype=torch.float64)
    _, centre = render_with_jacobian(smooth_volume, camera, pose)
    _, moved = render_with_jacobian(
        smooth_volume, camera, pose, pivot_mm=smooth_volume.centre_mm + shift
    )
    # w about c + s moves the centre c by w x (-s): d/dw changes by -s' x d/dv, s' in the camera.
    by_translation = centre[..., 3:].double()
    lever = (pose[:3, :3] @ shift).expand_as(by_translation)
    expected = centre[..., :3] - torch.linalg.cross(lever, by_translation)
    assert relative(moved[..., :3], expected) < 1e-4
    assert relative(moved[..., 3:], centre[..., 3:]) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backward_is_the_adjoint_of_forward(
    smooth_volume: Volume, camera: Camera, dtype: torch.dtype
) -> None:
    poses = torch.stack(
        [centred_pose(smooth_volume, [0.2, a, 0.1], 700.0) for a in (-0.4, 1.4)]
    ).to(dtype)
    generator = torch.Generator().manual_seed(3)
    weights = torch.rand(2, 1, camera.rows, camera.columns, generator=generator)
    direction = torch.randn(2, 6, generator=generator).to(dtype)
    twist = torch.zeros(2, 6, dtype=dtype, requires_grad=True)
    image = render(smooth_volume, camera, perturb(poses, twist, smooth_volume.centre_mm))
    (back,) = torch.autograd.grad(image, twist, weights)
    _, jacobian = render_with_jacobian(smooth_volume, camera, poses)
    forward = torch.einsum("bchwj,bj->bchw", jacobian, direction.float())
    assert image.dtype == torch.float32
    assert back.dtype == dtype
    for number in range(2):  # <J'w, d> = <w, J d>, each pose by itself
        adjoint = float((back[number] * direction[number]).sum())
        assert adjoint == pytest.approx(float((weights * forward)[number].sum()), rel=1e-3)


def test_a_second_derivative_is_refused_not_wrong(smooth_volume: Volume, camera: Camera) -> None:
    pose = view_pose(smooth_volume, camera).requires_grad_()
    (first,) = torch.autograd.grad(
        render(smooth_volume, camera, pose).square().sum(), pose, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_a_pose_must_be_finite(smooth_volume: Volume, camera: Camera, backend: str) -> None:
    pose = view_pose(smooth_volume, camera)
    pose[0, 3] = torch.nan
    with pytest.raises(InputError, match="camera_from_ct must be finite, got NaN or infinity"):
        render(smooth_volume, camera, pose, backend=backend)  # type: ignore[arg-type]
