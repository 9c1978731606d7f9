"""The renderers behind one door: ``render`` and ``render_with_jacobian``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wsreg.errors import BackendError, InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import skew, transform_points
from wsreg.rendering.numba_backend import Rois, render_numba
from wsreg.rendering.rays import check_field_of_view
from wsreg.rendering.reference import render_reference, render_reference_with_jacobian
from wsreg.vocabulary import Backend
from wsreg.volumes.volume import Volume

BACKENDS = get_args(Backend)


def resolve_backend(backend: str, device: torch.device | str = "cpu") -> str:
    """The renderer that will run: ``auto`` takes numba on the CPU, the reference elsewhere."""
    if backend not in BACKENDS:
        raise InputError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    on_cpu = torch.device(device).type == "cpu"
    if backend == "auto":
        return "numba" if on_cpu else "reference"
    if backend == "numba" and not on_cpu:
        raise BackendError(f"backend numba renders on the CPU, the pose is on {device}")
    return backend


def render(
    volume: Volume,
    camera: Camera,
    camera_from_ct: Tensor,
    *,
    rois: Iterable[int | Iterable[int]] = (),
    attenuation: bool = True,
    step_mm: float | None = None,
    backend: Backend = "auto",
) -> Tensor:
    """Render X-rays of a CT; differentiable to the pose.

    Args:
        volume: the CT.
        camera: the X-ray geometry; its rows and columns are the image's.
        camera_from_ct: [4,4] or [B,4,4] rigid poses, CT (LPS mm) to camera (mm).
        rois: label values, each a channel of its own; a group of values makes one channel.
        attenuation: False leaves the first channel out, for those who want the ROIs alone.
        step_mm: longest distance between samples along the central ray; every voxel plane
            by default, and at the least.
        backend: ``numba`` (CPU), ``reference`` (plain torch, any device, any float type), or
            ``auto``.

    Returns:
        [B,1+R,H,W]: the line integral of attenuation (no unit), then for each ROI the length of
        the ray inside it (mm).  float32 from numba, the poses' type from the reference.

    Raises:
        InputError: for a pose of the wrong shape or not finite, labels the volume
            lacks, a bad step, or a camera whose field of view is too wide.
        BackendError: for a backend that cannot run on the pose's device.
    """
    runs = resolve_backend(backend, camera_from_ct.device)
    poses, groups = _checked(volume, camera, camera_from_ct, rois, attenuation)
    if runs == "numba":
        if torch.is_grad_enabled() and poses.requires_grad:
            image: Tensor = _NumbaRender.apply(  # type: ignore[no-untyped-call]
                poses, volume, camera, groups, step_mm, attenuation
            )
            return image
        return render_numba(
            volume, camera, poses, groups, step_mm, volume.centre_mm, False, attenuation
        )[0]
    return render_reference(
        _channels(volume, groups, poses, attenuation), volume.ct_from_voxel, camera, poses, step_mm
    )


def render_with_jacobian(
    volume: Volume,
    camera: Camera,
    camera_from_ct: Tensor,
    *,
    rois: Iterable[int | Iterable[int]] = (),
    attenuation: bool = True,
    step_mm: float | None = None,
    pivot_mm: Tensor | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    """Render X-rays and their derivatives to the pose, in one pass.

    Arguments as for :func:`render`; ``pivot_mm`` [3] is the centre of rotation in CT coordinates,
    the volume's centre by default.

    Returns:
        (image [B,1+R,H,W], jacobian [B,1+R,H,W,6]).  The six columns are the parameters of
        :func:`wsreg.geometry.rigid.perturb`: rotations (rad) about the camera's x, y, z axes
        through the pivot, then translations (mm) along them.
    """
    runs = resolve_backend(backend, camera_from_ct.device)
    poses, groups = _checked(volume, camera, camera_from_ct, rois, attenuation)
    pivot = volume.centre_mm if pivot_mm is None else pivot_mm
    if runs == "numba":
        return render_numba(volume, camera, poses, groups, step_mm, pivot, True, attenuation)
    return render_reference_with_jacobian(
        _channels(volume, groups, poses, attenuation),
        volume.ct_from_voxel,
        camera,
        poses,
        step_mm,
        pivot,
    )


def _checked(
    volume: Volume,
    camera: Camera,
    camera_from_ct: Tensor,
    rois: Iterable[int | Iterable[int]],
    attenuation: bool,
) -> tuple[Tensor, Rois]:
    check_field_of_view(camera)
    if camera_from_ct.shape[-2:] != (4, 4) or camera_from_ct.ndim not in (2, 3):
        raise InputError(
            f"camera_from_ct must be [4,4] or [B,4,4], got {list(camera_from_ct.shape)}"
        )
    if not bool(torch.isfinite(camera_from_ct).all()):
        raise InputError("camera_from_ct must be finite, got NaN or infinity")
    poses = camera_from_ct if camera_from_ct.ndim == 3 else camera_from_ct[None]
    groups = tuple((roi,) if isinstance(roi, int) else tuple(roi) for roi in rois)
    if not (groups or attenuation):
        raise InputError("rois must name labels where attenuation is left out, got none")
    unknown = sorted({label for group in groups for label in group} - set(volume.label_values))
    if unknown:
        raise InputError(
            f"rois must be labels of the volume {list(volume.label_values)}, got {unknown}"
        )
    return poses, groups


def _channels(volume: Volume, rois: Rois, poses: Tensor, attenuation: bool) -> Tensor:
    """[1+R,D,H,W]: attenuation if wanted, then the indicator of each ROI."""
    channels = [volume.attenuation] if attenuation else []
    for members in rois:
        assert volume.labels is not None
        wanted = torch.tensor(members, dtype=volume.labels.dtype)
        channels.append(torch.isin(volume.labels, wanted).to(torch.float32))
    return torch.stack(channels).to(poses.device)


class _NumbaRender(torch.autograd.Function):
    """The numba march as a differentiable function of the poses.

    The march gives derivatives along the six directions in which a rigid pose can move.  The
    gradient handed on is the 4x4 matrix whose inner product with each of these directions is the
    derivative; it is defined for what follows a rigid motion, which is all that a pose does.
    """

    @staticmethod
    def forward(ctx: Any, poses: Tensor, *arguments: Any) -> Tensor:
        volume, camera, rois, step_mm, attenuation = arguments
        pivot = volume.centre_mm
        image, jacobian = render_numba(
            volume, camera, poses, rois, step_mm, pivot, True, attenuation
        )
        ctx.save_for_backward(poses, jacobian, pivot)
        return image

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        poses, jacobian, pivot = ctx.saved_tensors
        by_twist = torch.einsum("bchw,bchwj->bj", gradients[0].to(jacobian), jacobian).to(poses)
        by_rotation, by_translation = by_twist[:, :3], by_twist[:, 3:]
        pivot_camera = transform_points(poses, pivot.to(poses)[None])[:, 0]
        # A rotation about the pivot also moves the origin: t changes by w x (t - pivot).
        lever = torch.linalg.cross(poses[:, :3, 3] - pivot_camera, by_translation)
        gradient = torch.zeros_like(poses)
        gradient[:, :3, :3] = 0.5 * skew(by_rotation - lever) @ poses[:, :3, :3]
        gradient[:, :3, 3] = by_translation
        return gradient, None, None, None, None, None
