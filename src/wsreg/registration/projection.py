"""What one view shows of a state: the image, the regions, and how they change with the state."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.registration.bodies import LevelBody
from wsreg.rendering.render import render, render_with_jacobian
from wsreg.vocabulary import Backend


@dataclass(frozen=True, kw_only=True, eq=False)
class RoiGrid:
    """How a view's regions of interest are rendered: on a grid of their own, mostly a coarser one.

    Args:
        camera: of that grid.
        bodies: the bodies at its resolution.
        labels: of each of R regions, in each body: labels[k][r]; empty where a body has none.
    """

    camera: Camera
    bodies: tuple[LevelBody, ...]
    labels: tuple[tuple[tuple[int, ...], ...], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """B states of K bodies as one view shows them, P = 6 K parameters.

    Args:
        image: [B,H,W] line integrals of attenuation, the sum over the bodies.
        image_jacobian: [B,H,W,P] its derivative to the state's parameters.
        roi_lengths_mm: [B,R,H',W'] path lengths in the regions.
        roi_jacobian: [B,R,H',W',P] their derivative.

    What was not asked for is empty.
    """

    image: Tensor
    image_jacobian: Tensor
    roi_lengths_mm: Tensor
    roi_jacobian: Tensor


def project(
    bodies: Sequence[LevelBody],
    camera: Camera,
    camera_from_rig: Tensor,
    states: Tensor,
    *,
    image: bool = True,
    rois: RoiGrid | None = None,
    derivatives: bool = False,
    backend: Backend = "auto",
) -> Projection:
    """Project states as a view sees them, each body at its own pose.

    Args:
        bodies: K rigid parts of the CT.
        camera: of the view's image.
        camera_from_rig: [4,4] where the view's camera stands.
        states: [B,K,4,4] ``rig_from_body``.
        image: whether the image is wanted.
        rois: the regions to render, if any.
        derivatives: whether jacobians are wanted; without them the result is differentiable to the
            states.
        backend: renderer.
    """
    poses, nothing = camera_from_rig @ states, torch.empty(0)
    parts = [nothing] * 4
    if image:
        everything = (((),),) * len(bodies)
        seen, slopes = _rendered(bodies, camera, poses, everything, derivatives, backend)
        parts[:2] = seen[:, 0], slopes[:, 0] if derivatives else nothing
    if rois is not None:
        parts[2:] = _rendered(rois.bodies, rois.camera, poses, rois.labels, derivatives, backend)
    return Projection(
        image=parts[0],
        image_jacobian=_in_rig_axes(parts[1], camera_from_rig),
        roi_lengths_mm=parts[2],
        roi_jacobian=_in_rig_axes(parts[3], camera_from_rig),
    )


def _rendered(
    bodies: Sequence[LevelBody],
    camera: Camera,
    poses: Tensor,
    labels: Sequence[Sequence[tuple[int, ...]]],
    derivatives: bool,
    backend: Backend,
) -> tuple[Tensor, Tensor]:
    """Return (sum over bodies [B,C,H,W], their jacobians side by side [B,C,H,W,6K] or empty).

    ``labels[k][c]`` are body k's labels in channel c.  A channel without labels in any body is the
    attenuation of all of them.
    """
    attenuation = not any(group for groups in labels for group in groups)
    images: list[Tensor] = []
    columns: list[Tensor] = []
    for number, (body, groups) in enumerate(zip(bodies, labels, strict=True)):
        here = [index for index, group in enumerate(groups) if group]
        if not (here or attenuation):
            continue
        wanted = [groups[index] for index in here]
        channels, slopes = _rendered_body(
            body, camera, poses[:, number], wanted, derivatives, backend
        )
        if len(here) < len(groups) and not attenuation:
            channels, slopes = (_placed(part, here, len(groups)) for part in (channels, slopes))
        images.append(channels)
        columns.append(_columns_of(number, slopes, len(bodies)) if derivatives else slopes)
    return functools.reduce(operator.add, images), functools.reduce(operator.add, columns)


def _rendered_body(
    body: LevelBody,
    camera: Camera,
    poses: Tensor,
    groups: Sequence[tuple[int, ...]],
    derivatives: bool,
    backend: Backend,
) -> tuple[Tensor, Tensor]:
    """Return float32 channels of the groups, or the attenuation if there are none, with slopes."""
    if not derivatives:
        image = render(
            body.volume,
            camera,
            poses,
            rois=groups,
            attenuation=not groups,
            backend=backend,
            any_pose=True,
        )
        return image.to(torch.float32), torch.empty(0)
    image, jacobian = render_with_jacobian(
        body.volume, camera, poses, rois=groups, attenuation=not groups,
        pivot_mm=body.pivot_mm, backend=backend, any_pose=True,
    )  # fmt: skip
    return image.to(torch.float32), jacobian.to(torch.float32)


def _placed(channels: Tensor, here: list[int], count: int) -> Tensor:
    """Return the channels [B,C,...] at their places among ``count``, zero elsewhere."""
    if channels.numel() == 0:
        return channels
    whole = channels.new_zeros((len(channels), count, *channels.shape[2:]))
    return whole.index_copy(1, torch.tensor(here, device=channels.device), channels)


def _columns_of(number: int, slopes: Tensor, bodies: int) -> Tensor:
    """Return slopes [...,6] of one body as columns [...,6K] of all, zero for the others."""
    if bodies == 1:
        return slopes
    return torch.nn.functional.pad(slopes, (6 * number, 6 * (bodies - number - 1)))


def _in_rig_axes(jacobian: Tensor, camera_from_rig: Tensor) -> Tensor:
    """Return a jacobian [...,6K] about the camera's axes as one about the rig's axes.

    A turn w and a shift v about the rig's axes are R w and R v about the camera's; the pivot is the
    same point in both.
    """
    rotation = camera_from_rig[:3, :3].to(jacobian)
    if jacobian.numel() == 0 or torch.equal(rotation, torch.eye(3).to(rotation)):
        return jacobian
    triples = jacobian.reshape(*jacobian.shape[:-1], -1, 3)
    return (triples @ rotation).reshape(jacobian.shape)
