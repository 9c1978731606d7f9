"""The loss of a pose at one level: render the CT, compare with the radiograph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.radiographs.radiograph import Radiograph
from wsreg.radiographs.resample import resize_radiograph
from wsreg.registration.roi_terms import RoiTerms
from wsreg.rendering.render import render, render_with_jacobian
from wsreg.similarity.linearization import Linearization
from wsreg.similarity.multiscale_ncc import (
    MultiscaleNcc,
    linearize_multiscale,
    multiscale_loss,
    prepare_multiscale,
)
from wsreg.vocabulary import Backend
from wsreg.volumes.volume import Volume


@dataclass(frozen=True, kw_only=True, eq=False)
class Level:
    """One resolution of the problem: a CT, the radiograph at a matching size, how to compare.

    Args:
        volume: what is rendered.
        camera: geometry of ``fixed``.
        fixed: [H,W] attenuation, float32, and ``mask`` [H,W] bool.
        similarity: prepared from ``fixed`` and ``mask``.
        pivot_mm: [3] centre of rotation (CT, LPS mm).
        backend: renderer.
        rois: what the regions of interest add to the loss, on a grid of their own.
    """

    volume: Volume
    camera: Camera
    fixed: Tensor
    mask: Tensor
    similarity: MultiscaleNcc
    pivot_mm: Tensor
    backend: Backend
    rois: RoiTerms | None = None

    def loss(self, camera_from_ct: Tensor) -> Tensor:
        """[B] 1 less the similarity, plus the ROI terms, of poses [B,4,4]; differentiable."""
        moving = self.image(camera_from_ct)
        loss = multiscale_loss(self.similarity, moving)
        if self.rois is None:
            return loss
        return loss + self.rois.loss(self.rois.masks(camera_from_ct, moving))

    def linearize(self, camera_from_ct: Tensor) -> Linearization:
        """The loss at poses [B,4,4] with its derivatives to the six pose parameters.

        Of a network's regions there are none; they take no part here.
        """
        image = self.linearize_image(camera_from_ct)
        if self.rois is None or self.rois.moving is not None:
            return image
        return image + self.rois.linearize(camera_from_ct)

    def image(self, camera_from_ct: Tensor) -> Tensor:
        """[B,H,W] the CT rendered at poses [B,4,4]; differentiable to them."""
        moving = render(self.volume, self.camera, camera_from_ct, backend=self.backend)
        return moving[:, 0].to(self.fixed)

    def linearize_image(self, camera_from_ct: Tensor) -> Linearization:
        """As :meth:`linearize`, of 1 less the similarity alone."""
        moving, jacobian = render_with_jacobian(
            self.volume, self.camera, camera_from_ct, pivot_mm=self.pivot_mm, backend=self.backend
        )
        return linearize_multiscale(
            self.similarity, moving[:, 0].to(self.fixed), jacobian[:, 0].to(self.fixed)
        )

    def move(self, camera_from_ct: Tensor, step: Tensor) -> Tensor:
        """Poses [...,4,4] moved by steps [...,6] about the pivot."""
        return perturb(camera_from_ct, step, self.pivot_mm)


def make_level(
    radiograph: Radiograph,
    camera: Camera,
    volume: Volume,
    size_px: int,
    window_sizes: tuple[int, ...],
    global_weight: float,
    pivot_mm: Tensor,
    backend: Backend,
) -> Level:
    """The problem with the image's longer side at ``size_px`` pixels, or as it is if smaller."""
    scale = min(1.0, size_px / max(camera.rows, camera.columns))
    rows = max(8, round(camera.rows * scale))
    columns = max(8, round(camera.columns * scale))
    small = resize_radiograph(radiograph, camera, rows, columns)
    assert small.camera is not None
    fitting = tuple(size for size in window_sizes if size <= min(rows, columns))
    return Level(
        volume=volume,
        camera=small.camera,
        fixed=small.image,
        mask=small.mask,
        similarity=prepare_multiscale(small.image, small.mask, fitting, global_weight),
        pivot_mm=pivot_mm,
        backend=backend,
    )


def rendered(level: Level, camera_from_ct: Tensor) -> Tensor:
    """[H,W] the moving image at a pose."""
    with torch.no_grad():
        pose = camera_from_ct.detach()
        return render(level.volume, level.camera, pose, backend=level.backend)[0, 0]
