"""The ROI part of the loss of a pose at one level: overlap, and distance while there is little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.radiographs.resample import area_mean
from wsreg.rendering.render import Backend
from wsreg.segmentation.rendered import rendered_rois, rendered_rois_with_jacobian
from wsreg.segmentation.rois import RoiTarget
from wsreg.similarity.chamfer import distance_maps, linearize_each_distance, mean_distances
from wsreg.similarity.linearization import Linearization
from wsreg.similarity.soft_dice import linearize_each_dice, present, soft_dice
from wsreg.volumes.volume import Volume

CURVATURE_POWER = 3
"""Gauss-Newton's curvature of 1 - Dice holds where masks overlap.  Where they hardly do, the loss
is flat and that curvature only shortens the steps that the distance asks for, so it is taken times
this power of Dice.  Measured: 92 % of descents from 150 mm away arrive, and none without it."""


@dataclass(frozen=True, kw_only=True)
class RoiConfig:
    """Weights of the ROI terms beside 1 - similarity.

    Args:
        dice_weight: of 1 - Dice (the paper's beta_2).
        distance_weight: of half the squared distance times 1 - Dice, so that it fades as overlap
            comes; distances are shares of the image's longer side.
    """

    dice_weight: float = 0.1
    distance_weight: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class RoiTerms:
    """The R regions that take part at one level.

    Args:
        names: of the regions.
        target: [R,H,W] their masks in the X-ray, ``distances`` [R,H,W] from them, and ``weight``
            [R,H,W] bool, where pixels count.
        labels: of each region in ``volume``, rendered with ``camera``, H x W.
        moving: rendered images [B,1,H,W] -> [B,R,H,W], in place of the labels.
        pivot_mm: [3] centre of rotation (CT, LPS mm).
        backend: renderer.
        config: weights.
    """

    names: tuple[str, ...]
    target: Tensor
    distances: Tensor
    weight: Tensor
    labels: tuple[tuple[int, ...], ...]
    volume: Volume
    camera: Camera
    moving: Callable[[Tensor], Tensor] | None
    pivot_mm: Tensor
    backend: Backend
    config: RoiConfig

    def masks(self, camera_from_ct: Tensor, image: Tensor) -> Tensor:
        """[B,R,H,W] regions of the CT at poses [B,4,4], from which ``image`` [B,H,W] is rendered.

        Differentiable to both.
        """
        if self.moving is not None:
            return self.moving(image[:, None]).to(self.target)
        masks = rendered_rois(
            self.volume, self.camera, camera_from_ct, self.labels, backend=self.backend
        )
        return masks.to(self.target)

    def dice(self, masks: Tensor) -> Tensor:
        """[B,R] of moving masks [B,R,H,W]."""
        return soft_dice(self.target, masks, self.weight)

    def loss(self, masks: Tensor) -> Tensor:
        """[B] of moving masks [B,R,H,W]; differentiable to them."""
        apart = 1.0 - self.dice(masks)
        distance = mean_distances(self.target, self.distances, masks, self.weight)
        by_distance = 0.5 * self.config.distance_weight * distance.square()
        return (apart * (self.config.dice_weight + by_distance)).mean(dim=-1)

    def linearize(self, camera_from_ct: Tensor) -> Linearization:
        """The loss of the rendered regions at poses [B,4,4], with its pose derivatives."""
        masks, jacobian = rendered_rois_with_jacobian(
            self.volume, self.camera, camera_from_ct, self.labels,
            pivot_mm=self.pivot_mm, backend=self.backend,
        )  # fmt: skip
        masks, jacobian = masks.to(self.target), jacobian.to(self.target)
        apart = linearize_each_dice(self.target, masks, jacobian, self.weight)
        distance = linearize_each_distance(
            self.target, self.distances, masks, jacobian, self.weight
        )
        factor = self.config.dice_weight + self.config.distance_weight * distance.value
        slope = self.config.distance_weight * apart.value
        trusted = factor * (1.0 - apart.value).clamp_min(0) ** CURVATURE_POWER
        each = Linearization(
            value=apart.value * factor,
            gradient=factor[..., None] * apart.gradient + slope[..., None] * distance.gradient,
            normal_matrix=trusted[..., None, None] * apart.normal_matrix
            + slope[..., None, None] * distance.normal_matrix,
        )
        return each.weighted_sum(torch.full((len(self.names),), 1.0 / len(self.names)))


def make_roi_terms(
    rois: RoiTarget,
    valid: Tensor,
    camera: Camera,
    volume: Volume,
    pivot_mm: Tensor,
    backend: Backend,
    config: RoiConfig,
) -> RoiTerms | None:
    """The regions on the grid of ``camera``; None if none of them shows in the X-ray.

    Args:
        rois: on the X-ray's own grid, as is ``valid`` [H,W], the X-ray's usable pixels.
        camera, volume: of the level; regions whose labels the volume lacks do not take part.
    """
    if not rois.names:
        return None
    size = (camera.rows, camera.columns)
    known = rois.known_where(valid)
    target = torch.stack([area_mean(mask.float(), *size) for mask in rois.masks])
    weight = torch.stack([area_mean(share.float(), *size) for share in known]) >= 0.5
    shown = present(target, weight).tolist()
    labels = [
        tuple(label for label in group if label in volume.label_values) for group in rois.labels
    ]
    if rois.moving_segmenter is None:
        shown = [here and bool(group) for here, group in zip(shown, labels, strict=True)]
    chosen = [number for number, here in enumerate(shown) if here]
    if not chosen:
        return None
    target = target[chosen]
    moving = rois.moving_segmenter
    return RoiTerms(
        names=tuple(rois.names[number] for number in chosen),
        target=target,
        distances=distance_maps(target),
        weight=weight[chosen],
        labels=tuple(labels[number] for number in chosen) if labels else (),
        volume=volume,
        camera=camera,
        moving=None if moving is None else lambda images: moving(images)[:, chosen],
        pivot_mm=pivot_mm,
        backend=backend,
        config=config,
    )
