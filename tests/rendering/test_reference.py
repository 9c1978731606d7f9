"""The reference renderer by itself: float types, derivatives to the voxels."""

from __future__ import annotations

import pytest
import torch

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.rendering.backends.reference import (
    render_reference,
    render_reference_with_jacobian,
)
from wsreg.rendering.render import render, render_with_jacobian
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_computes_in_the_type_of_the_pose(
    smooth_volume: Volume, camera: Camera, dtype: torch.dtype
) -> None:
    poses = view_pose(smooth_volume, camera)[None]
    channels = smooth_volume.attenuation[None]
    image, jacobian = render_reference_with_jacobian(
        channels, smooth_volume.ct_from_voxel, camera, poses.to(dtype), None, torch.zeros(3)
    )
    assert image.dtype == jacobian.dtype == dtype
    double = render_reference(channels, smooth_volume.ct_from_voxel, camera, poses, None)
    torch.testing.assert_close(image.double(), double, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_as_a_backend_it_computes_in_float64(
    smooth_volume: Volume, camera: Camera, dtype: torch.dtype
) -> None:
    pose = view_pose(smooth_volume, camera).to(dtype)
    image, jacobian = render_with_jacobian(smooth_volume, camera, pose, backend="reference")
    assert image.dtype == jacobian.dtype == torch.float64
    alone = render(smooth_volume, camera, pose, backend="reference")
    torch.testing.assert_close(alone, image)


def test_its_backward_pass_agrees_with_its_forward_mode(
    smooth_volume: Volume, camera: Camera
) -> None:
    pose, pivot = view_pose(smooth_volume, camera), smooth_volume.centre_mm + 5.0
    channels, affine = smooth_volume.attenuation[None], smooth_volume.ct_from_voxel
    twist = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    image = render_reference(channels, affine, camera, perturb(pose, twist, pivot), None)
    generator = torch.Generator().manual_seed(4)
    weights = torch.rand(image.shape, generator=generator, dtype=torch.float64)
    (back,) = torch.autograd.grad((image * weights).sum(), twist)
    _, jacobian = render_reference_with_jacobian(channels, affine, camera, pose[None], None, pivot)
    torch.testing.assert_close(back[0], torch.einsum("bchw,bchwj->j", weights, jacobian))


def test_it_is_linear_in_the_voxels_and_its_gradient_is_the_back_projection(
    smooth_volume: Volume, camera: Camera
) -> None:
    poses = view_pose(smooth_volume, camera)[None]
    generator = torch.Generator().manual_seed(2)
    voxels = torch.rand(2, 1, *smooth_volume.hu.shape, generator=generator, dtype=torch.float64)
    x, y = voxels[0].requires_grad_(), voxels[1]
    image = render_reference(x, smooth_volume.ct_from_voxel, camera, poses, None)
    weights = torch.rand(image.shape, generator=generator, dtype=torch.float64)
    (back,) = torch.autograd.grad((image * weights).sum(), x)
    other = render_reference(y, smooth_volume.ct_from_voxel, camera, poses, None)
    # <A'w, y> = <w, A y>
    torch.testing.assert_close((back * y).sum(), (weights * other).sum())


def test_channels_share_their_rays(smooth_volume: Volume, camera: Camera) -> None:
    poses = view_pose(smooth_volume, camera)[None]
    one = smooth_volume.attenuation[None]
    both = render_reference(
        torch.cat((one, 3 * one)), smooth_volume.ct_from_voxel, camera, poses, 5.0
    )
    torch.testing.assert_close(both[:, 1], 3 * both[:, 0])
