"""Dice of a network's regions on X-rays, and on renderings of the CT at their true poses.

Paper, Table 2 ("the synthetic X-rays are rendered based on the real X-ray projection poses").
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.experiments.dice_tables import DiceScore, Images
from wsreg.rendering.render import render
from wsreg.segmentation.boxes import boxes_from_masks, jittered_boxes
from wsreg.segmentation.segmenter import Segmenter
from wsreg.similarity.soft_dice import soft_dice
from wsreg.training.layers import COVERED_MM, true_masks

BOX_JITTER = 10 / 1024
"""Of the image side: the paper moves boxes by up to 10 pixels, MedSAM's images have 1024."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedImage:
    """An image [H,W] of attenuation, its true masks [R,H,W], and where they count [R,H,W]."""

    image: Tensor
    masks: Tensor
    valid: Tensor

    @property
    def fractions(self) -> list[float]:
        """Return which fraction of the image each region covers, where it counts."""
        return [float(x) for x in (self.masks & self.valid).double().mean(dim=(1, 2))]


def xray_of(sample: Sample, labels: Sequence[int]) -> MaskedImage:
    """Return the X-ray; masks count inside its exposed field, where their pose is known."""
    masks, known = true_masks(sample, labels)
    valid = sample.radiograph.mask & known[:, None, None]
    return MaskedImage(image=sample.radiograph.image, masks=masks, valid=valid)


def rendering_of(sample: Sample, labels: Sequence[int]) -> MaskedImage:
    """Return the CT at the pelvis's true pose, all of its bones in their places in the CT."""
    there = [label for label in labels if label in sample.volume.label_values]
    rois = [(label,) for label in there]
    channels = render(sample.volume, sample.camera, sample.camera_from_ct, rois=rois)[0]
    masks = torch.zeros(len(labels), *channels.shape[1:], dtype=torch.bool)
    for label, path_mm in zip(there, channels[1:], strict=True):
        masks[labels.index(label)] = path_mm > COVERED_MM
    return MaskedImage(image=channels[0], masks=masks, valid=torch.ones_like(masks))


def labels_of(segmenter: Segmenter, sample: Sample) -> list[int]:
    """Return the CT's label of each region that a network finds; negative for one it lacks."""
    values = {name: value for value, name in sample.volume.label_names.items()}
    return [values.get(name, -n) for n, name in enumerate(segmenter.roi_names, start=1)]


def dice_of(segmenter: Segmenter, view: MaskedImage, seed: int) -> list[float]:
    """Return the Dice of each region where it counts; NaN where the truth does not show it.

    A MedSAM is told boxes around the true masks, each side off as hands draw them (``seed``).
    """
    boxes = None
    if segmenter.needs_boxes:
        generator = torch.Generator().manual_seed(seed)
        boxes = boxes_from_masks(view.masks & view.valid)
        boxes = jittered_boxes(boxes, BOX_JITTER * max(view.image.shape), generator)
    found = segmenter.hard_masks(view.image[None, None], boxes)[0]
    dice = soft_dice(view.masks.double(), found.double(), view.valid).tolist()
    return [d if part > 0.0 else math.nan for d, part in zip(dice, view.fractions, strict=True)]


def dice_scores(network: str, segmenter: Segmenter, sample: Sample) -> list[DiceScore]:
    """Return how well a network does on an X-ray and on its rendering.

    Args:
        network: as tables print it.
        segmenter: the network, which has not seen the specimen.
        sample: the X-ray, at the size at which Dice is measured.
    """
    labels = labels_of(segmenter, sample)
    views: dict[Images, MaskedImage] = {
        "X-rays": xray_of(sample, labels), "rendered": rendering_of(sample, labels),
    }  # fmt: skip
    seed = _seed(sample.projection)
    found = {name: dice_of(segmenter, view, seed) for name, view in views.items()}
    return [
        DiceScore(
            network=network, images=images, specimen=sample.specimen,
            projection=sample.projection, dice=dict(zip(segmenter.roi_names, dice, strict=True)),
        )
        for images, dice in found.items()
    ]  # fmt: skip


def _seed(projection: str) -> int:
    """Return the number that a projection's name is, or stands for where it is none."""
    return int(projection) if projection.isdecimal() else zlib.crc32(projection.encode())
