"""The renderers behind one door: ``render`` and ``render_with_jacobian``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wsreg.errors import BackendError, InputError, check_is
from wsreg.geometry.arrays import as_float64, finite_numbers, in_words
from wsreg.geometry.camera import Camera
from wsreg.geometry.plausibility import check_meant_poses
from wsreg.geometry.rigid import skew, transform_points
from wsreg.geometry.rigidity import check_all_rigid
from wsreg.rendering.backends import numba_backend, reference
from wsreg.rendering.backends.protocol import RenderBackend
from wsreg.rendering.plane_grid import Rois
from wsreg.rendering.prepared import PreparedVolume
from wsreg.rendering.rays import check_field_of_view
from wsreg.vocabulary import Backend
from wsreg.volumes.region_names import find_labels
from wsreg.volumes.volume import Volume

_BACKENDS: Mapping[str, tuple[RenderBackend, str | None]] = {
    "numba": (numba_backend, "cpu"),
    "reference": (reference, None),
}
"""Each renderer with the kind of device that it runs on (None: any); ``auto`` takes the first that
fits."""
BACKENDS = ("auto", *_BACKENDS)

Roi = int | str | Iterable[int | str]
"""A label of the CT by value or name, or a group of them."""


def resolve_backend(backend: str, device: torch.device | str = "cpu") -> str:
    """Name the renderer that will run: ``auto`` takes numba on the CPU, the reference elsewhere.

    Raises:
        InputError: there is no such renderer.
        BackendError: it does not run on the device.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    kind = torch.device(device).type
    fitting = [name for name, (_, needed) in _BACKENDS.items() if needed in (None, kind)]
    if backend == "auto":
        return fitting[0]
    if backend not in fitting:
        needed = str(_BACKENDS[backend][1]).upper()
        raise BackendError(f"backend {backend} renders on the {needed}, the pose is on {device}")
    return backend


def render(
    volume: Volume | PreparedVolume,
    camera: Camera,
    camera_from_ct: Any,
    *,
    rois: Iterable[Roi] = (),
    attenuation: bool = True,
    step_mm: float | None = None,
    backend: Backend = "auto",
    any_pose: bool = False,
) -> Tensor:
    """Render X-rays of a CT; differentiable to the pose.

    Args:
        volume: the CT.  What is prepared of it is kept for as long as it lives.
        camera: the X-ray geometry; its rows and columns are the image's.
        camera_from_ct: [4,4] or [B,4,4] rigid poses, CT (LPS mm) to camera (mm): a tensor, an
            array or nested lists.
        rois: label values or names, each a channel of its own; a group of them makes one channel.
        attenuation: False leaves the first channel out, for those who want the ROIs alone.
        step_mm: longest distance between samples along the central ray; every voxel plane
            by default, and at the least.
        backend: ``numba`` (CPU), ``reference`` (plain torch, any device), or ``auto``.
        any_pose: whether poses are taken as they are even where they show no CT, but their inverse
            would, or their translation in metres.

    Returns:
        [B,1+R,H,W]: the line integral of attenuation (no unit), then for each ROI the length of
        the ray inside it (mm).  float32 from numba, float64 from the reference.

    Raises:
        InputError: for a pose of the wrong shape, not finite or not rigid, the inverse of one or
            one in metres, labels the volume lacks, a bad step, or a camera whose field of view is
            too wide.
        BackendError: for a backend that cannot run on the pose's device.
    """
    poses, run, centre_mm = _checked(
        volume, camera, camera_from_ct, rois, attenuation, step_mm, backend, any_pose
    )
    if torch.is_grad_enabled() and poses.requires_grad:
        image: Tensor = _Render.apply(poses, run, centre_mm)  # type: ignore[no-untyped-call]
        return image
    return run(_double(poses), pivot_mm=centre_mm, derivatives=False)[0]


def render_with_jacobian(  # noqa: PLR0913 - as render, and the pivot
    volume: Volume | PreparedVolume,
    camera: Camera,
    camera_from_ct: Any,
    *,
    rois: Iterable[Roi] = (),
    attenuation: bool = True,
    step_mm: float | None = None,
    pivot_mm: Any = None,
    backend: Backend = "auto",
    any_pose: bool = False,
) -> tuple[Tensor, Tensor]:
    """Render X-rays and their derivatives to the pose, in one pass.

    Arguments as for :func:`render`; ``pivot_mm`` [3] is the centre of rotation in CT coordinates,
    the volume's centre by default.

    Returns:
        (image [B,1+R,H,W], jacobian [B,1+R,H,W,6]).  The six columns are the parameters of
        :func:`wsreg.geometry.rigid.perturb`: rotations (rad) about the camera's x, y, z axes
        through the pivot, then translations (mm) along them.
    """
    poses, run, centre_mm = _checked(
        volume, camera, camera_from_ct, rois, attenuation, step_mm, backend, any_pose
    )
    pivot = centre_mm if pivot_mm is None else finite_numbers(pivot_mm, "pivot_mm", (3,))
    return run(_double(poses), pivot_mm=pivot, derivatives=True)


Run = Callable[..., tuple[Tensor, Tensor]]


def _checked(
    volume: Volume | PreparedVolume,
    camera: Camera,
    camera_from_ct: Any,
    rois: Iterable[Roi],
    attenuation: bool,
    step_mm: float | None,
    backend: str,
    any_pose: bool,
) -> tuple[Tensor, Run, Tensor]:
    """Return (poses [B,4,4], what renders them, the volume's centre) of right arguments."""
    check_is(volume, Volume | PreparedVolume, "volume", "wsreg.read_volume reads one")
    check_is(camera, Camera, "camera", "wsreg.read_camera reads one")
    poses = camera_from_ct if isinstance(camera_from_ct, Tensor) else as_float64(camera_from_ct)
    if poses is None:
        raise InputError(
            f"camera_from_ct must be a 4x4 matrix of numbers, got {in_words(camera_from_ct)}"
        )
    renderer, _ = _BACKENDS[resolve_backend(backend, poses.device)]
    check_field_of_view(camera)
    if poses.shape[-2:] != (4, 4) or poses.ndim not in (2, 3):
        raise InputError(f"camera_from_ct must be [4,4] or [B,4,4], got {list(poses.shape)}")
    if not bool(torch.isfinite(poses).all()):
        raise InputError("camera_from_ct must be finite, got NaN or infinity")
    check_all_rigid(poses, "camera_from_ct")
    prepared = PreparedVolume(volume=volume) if isinstance(volume, Volume) else volume
    run = functools.partial(
        renderer.render,
        prepared,
        camera,
        rois=_groups(rois, prepared.volume, attenuation),
        attenuation=attenuation,
        step_mm=step_mm,
    )
    poses = poses if poses.ndim == 3 else poses[None]
    if not any_pose:
        check_meant_poses(poses, camera, prepared.volume.corners_mm)
    return poses, run, prepared.volume.centre_mm


def _groups(rois: Iterable[Roi], volume: Volume, attenuation: bool) -> Rois:
    """Return the labels of each ROI's channel."""
    asked = [(roi,) if isinstance(roi, int | str) else tuple(roi) for roi in rois]
    groups = tuple(_values(volume, group) for group in asked)
    if not (groups or attenuation):
        raise InputError("rois must name labels where attenuation is left out, got none")
    unknown = {label for group in groups for label in group}.difference(volume.label_values)
    if unknown:
        raise InputError(
            f"rois must be labels of the volume {list(volume.label_values)}, got {sorted(unknown)}"
        )
    return groups


def _values(volume: Volume, group: Sequence[int | str]) -> tuple[int, ...]:
    """Return the label values of a group; names are looked up."""
    if any(isinstance(label, str) for label in group):
        return find_labels(volume, group, "rois")
    return tuple(label for label in group if not isinstance(label, str))


def _double(poses: Tensor) -> Tensor:
    return poses.detach().to(torch.float64)


class _Render(torch.autograd.Function):
    """A renderer as a differentiable function of the poses.

    Renderers give derivatives along the six directions in which a rigid pose can move.  The
    gradient handed on is the 4x4 matrix whose inner product with each of these directions is the
    derivative; it is defined for what follows a rigid motion, which is all that a pose does.
    """

    @staticmethod
    def forward(ctx: Any, poses: Tensor, run: Run, pivot_mm: Tensor) -> Tensor:
        image, jacobian = run(_double(poses), pivot_mm=pivot_mm, derivatives=True)
        ctx.save_for_backward(poses, jacobian, pivot_mm)
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
        return gradient, None, None
