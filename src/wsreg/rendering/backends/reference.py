"""The definition of correct: plain torch, differentiable, on any device, in any float type.

The quadrature is that of :mod:`wsreg.kernels.march`; written here for reading, not for speed.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.rendering.plane_grid import Rois
from wsreg.rendering.prepared import PreparedVolume
from wsreg.rendering.rays import PlaneSampling, first_plane, plane_samplings
from wsreg.volumes.volume import Volume


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
    """Render as :meth:`wsreg.rendering.backends.protocol.RenderBackend.render` says, in float64."""
    volume = prepared.volume
    channels = _channels(volume, rois, attenuation).to(camera_from_ct)
    arguments = (channels, volume.ct_from_voxel, camera, camera_from_ct, step_mm)
    if derivatives:
        return render_reference_with_jacobian(*arguments, pivot_mm)
    image = render_reference(*arguments)
    return image, image.new_empty((0, *image.shape[1:], 6))


def _channels(volume: Volume, rois: Rois, attenuation: bool) -> Tensor:
    """Return [C,D,H,W]: attenuation if wanted, then the indicator of each ROI."""
    channels = [volume.attenuation] if attenuation else []
    for members in rois:
        assert volume.labels is not None
        wanted = torch.tensor(members, dtype=volume.labels.dtype)
        channels.append(torch.isin(volume.labels, wanted).to(torch.float32))
    return torch.stack(channels)


def _bilinear_sum(planes: Tensor, u: Tensor, v: Tensor, inside: Tensor) -> Tensor:
    """Sum [C,N] over k planes [C,K,V,U] at (u, v) [K,N]; zero outside, over one voxel."""
    channels, count, height, width = planes.shape
    u0, v0 = u.detach().floor(), v.detach().floor()
    total = u.new_zeros((channels, u.shape[1]))
    flat = planes.reshape(channels, count, height * width)
    for dv in (0, 1):
        for du in (0, 1):
            iu, iv = u0 + du, v0 + dv
            weight = (1 - (u - iu).abs()) * (1 - (v - iv).abs())
            valid = inside & (iu >= 0) & (iu < width) & (iv >= 0) & (iv < height)
            index = iv.where(valid, 0).long() * width + iu.where(valid, 0).long()
            values = flat.gather(2, index.expand(channels, -1, -1))
            total = total + (values * weight.where(valid, 0)).sum(dim=1)
    return total


def render_one(
    channels: Tensor,
    ct_from_voxel: Tensor,
    camera: Camera,
    camera_from_ct: Tensor,
    sampling: PlaneSampling,
) -> Tensor:
    """Return line integrals [C,H,W] of volumes [C,D,H,W] for one pose [4,4], of its float type."""
    dtype, device = camera_from_ct.dtype, camera_from_ct.device
    voxel_from_camera = torch.linalg.inv(camera_from_ct @ ct_from_voxel.to(camera_from_ct))
    linear, source = voxel_from_camera[:3, :3], voxel_from_camera[:3, 3]
    axes, stride = sampling.axes, sampling.stride

    rows = torch.arange(camera.rows, dtype=dtype, device=device)
    columns = torch.arange(camera.columns, dtype=dtype, device=device)
    grid_rows, grid_columns = torch.meshgrid(rows, columns, indexing="ij")
    rays = camera.detector_points(torch.stack((grid_columns, grid_rows), dim=-1)).reshape(-1, 3)
    slope = rays @ linear.T  # voxels from the source to the detector
    # Array axes [D,H,W] are voxel axes (2, 1, 0).
    planes = channels.to(camera_from_ct).permute(0, 3 - axes.w, 3 - axes.v, 3 - axes.u)
    number = torch.arange(
        first_plane(planes.shape[1], stride), planes.shape[1], stride, device=device
    )
    along = (number.to(dtype)[:, None] - source[axes.w]) / slope[None, :, axes.w]
    u = source[axes.u] + along * slope[None, :, axes.u]
    v = source[axes.v] + along * slope[None, :, axes.v]
    total = _bilinear_sum(planes[:, number], u, v, (along >= 0) & (along <= 1))
    weight_mm = stride * rays.norm(dim=1) / slope[:, axes.w].abs()
    image: Tensor = (total * weight_mm).reshape(-1, camera.rows, camera.columns)
    return image


def render_reference(
    channels: Tensor,
    ct_from_voxel: Tensor,
    camera: Camera,
    camera_from_ct: Tensor,
    step_mm: float | None,
) -> Tensor:
    """Return [B,C,H,W] for poses [B,4,4]; differentiable to the poses and to the channels."""
    samplings = _samplings(camera_from_ct, ct_from_voxel, step_mm)
    return torch.stack(
        [
            render_one(channels, ct_from_voxel, camera, pose, sampling)
            for pose, sampling in zip(camera_from_ct, samplings, strict=True)
        ]
    )


def render_reference_with_jacobian(
    channels: Tensor,
    ct_from_voxel: Tensor,
    camera: Camera,
    camera_from_ct: Tensor,
    step_mm: float | None,
    pivot_mm: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return (image [B,C,H,W], jacobian [B,C,H,W,6]) by forward-mode differentiation."""

    def image_of(pose: Tensor, sampling: PlaneSampling, twist: Tensor) -> Tensor:
        moved = perturb(pose, twist, pivot_mm.to(pose))
        return render_one(channels, ct_from_voxel, camera, moved, sampling)

    images, jacobians = [], []
    samplings = _samplings(camera_from_ct, ct_from_voxel, step_mm)
    for pose, sampling in zip(camera_from_ct, samplings, strict=True):
        zero = torch.zeros(6, dtype=pose.dtype, device=pose.device)
        of_twist = functools.partial(image_of, pose, sampling)
        columns = []
        for direction in torch.eye(6, dtype=pose.dtype, device=pose.device):
            image, change, *_ = torch.func.jvp(of_twist, (zero,), (direction,))
            columns.append(change)
        images.append(image)
        jacobians.append(torch.stack(columns, dim=-1))
    return torch.stack(images), torch.stack(jacobians)


def _samplings(
    camera_from_ct: Tensor, ct_from_voxel: Tensor, step_mm: float | None
) -> list[PlaneSampling]:
    voxel_from_camera = torch.linalg.inv(camera_from_ct.detach() @ ct_from_voxel.to(camera_from_ct))
    return plane_samplings(voxel_from_camera[:, :3, :3], ct_from_voxel, step_mm)
