"""Regions that a network finds in the X-ray, and those they are compared with."""

from __future__ import annotations

from torch import Tensor

from wsreg.networks.medsam import scaled_boxes
from wsreg.radiographs.radiograph import Radiograph
from wsreg.segmentation.masks import target_of_probabilities
from wsreg.segmentation.regions import segment_radiograph
from wsreg.segmentation.rois import RoiTarget
from wsreg.segmentation.segmenter import HARD_MASK, Segmenter
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
