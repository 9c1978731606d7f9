"""Regions that a network finds in the X-ray, and those they are compared with."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from wsreg.errors import InputError
from wsreg.networks.medsam import scaled_boxes
from wsreg.radiographs.radiograph import Radiograph
from wsreg.segmentation.masks import target_of_probabilities
from wsreg.segmentation.regions import segment_radiograph
from wsreg.segmentation.rois import RoiTarget
from wsreg.segmentation.segmenter import HARD_MASK, Segmenter
from wsreg.volumes.region_names import labels_of_region
from wsreg.volumes.volume import Volume


def network_against_rendered(
    segmenter: Segmenter, radiograph: Radiograph, volume: Volume, boxes: Tensor | None = None
) -> RoiTarget:
    """Find hard masks in the X-ray, to be compared with rendered labels of the CT.

    Args:
        segmenter: finds the regions; those that the CT's labels lack are left out.
        boxes: [R,4] pixels of the X-ray, for models that need them.

    Raises:
        InputError: the CT has none of the regions, or boxes are missing.
    """
    masks = segment_radiograph(segmenter, radiograph, boxes) > HARD_MASK
    source = f"the {segmenter.card.kind} model"
    return target_of_probabilities(segmenter.roi_names, masks, volume, source)


def network_on_both_sides(
    segmenter: Segmenter, radiograph: Radiograph, boxes: Tensor | None = None
) -> RoiTarget:
    """Find hard masks in the X-ray, to be compared with what is found in rendered images.

    The paper's scheme (section 2.2); boxes of the X-ray serve for the rendered images too.
    """
    size = (radiograph.image.shape[0], radiograph.image.shape[1])

    def find(images: Tensor) -> Tensor:
        inner = (images.shape[-2], images.shape[-1])
        return segmenter.probabilities(
            images, None if boxes is None else scaled_boxes(boxes, size, inner)
        )

    masks = segment_radiograph(segmenter, radiograph, boxes) > HARD_MASK
    return RoiTarget(names=segmenter.roi_names, masks=masks.float(), moving_segmenter=find)


def network_on_moving_side(
    fixed: Segmenter | RoiTarget,
    moving: Segmenter,
    radiograph: Radiograph,
    volume: Volume,
    boxes: Tensor | None = None,
) -> RoiTarget:
    """Compare regions of the X-ray with the same regions as another network finds them.

    They are the same by their names, or by the labels of the CT that both names stand for.

    The paper's case study (section 3.2): MedSAM or a U-Net in the X-ray, a U-Net in the rendered
    image.

    Args:
        fixed: finds hard masks in the X-ray, or has them.
        moving: finds regions in rendered images.
        radiograph: the X-ray.
        volume: the CT.
        boxes: [R,4] pixels of the X-ray, where ``fixed`` needs them.

    Raises:
        InputError: no region of the X-ray that the other network knows, or boxes are missing.
    """
    if isinstance(fixed, Segmenter):
        masks = segment_radiograph(fixed, radiograph, boxes) > HARD_MASK
        fixed = RoiTarget(
            names=fixed.roi_names, masks=masks.float(), labels=((),) * len(fixed.roi_names)
        )
    channel_of = {name: number for number, name in enumerate(moving.roi_names)}
    by_labels = {labels_of_region(name, volume): number for name, number in channel_of.items()}
    by_labels.pop((), None)
    groups = fixed.labels or ((),) * len(fixed.names)
    channels = [
        channel_of.get(name, by_labels.get(tuple(sorted(group))))
        for name, group in zip(fixed.names, groups, strict=True)
    ]
    shared = [number for number, channel in enumerate(channels) if channel is not None]
    if not shared:
        raise InputError(
            f"the X-ray's regions must be among those that the {moving.card.kind} model finds, "
            f"{', '.join(moving.roi_names)}, got {', '.join(fixed.names) or 'none'}"
        )
    chosen = [channels[number] for number in shared]
    return dataclasses.replace(
        fixed.at(shared), moving_segmenter=lambda images: moving.probabilities(images)[:, chosen]
    )
