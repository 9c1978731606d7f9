"""What was found in an X-ray: one label for each pixel, and size and place of each region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.radiographs.radiograph import Radiograph
from wsreg.segmentation.boxes import boxes_from_masks
from wsreg.segmentation.segmenter import HARD_MASK, Segmenter


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region as an X-ray shows it.

    Args:
        name: of the region.
        area_px: pixels that are more likely in it than not.
        centroid_px: mean (column, row) of these pixels, None without any.
    """

    name: str
    area_px: int
    centroid_px: tuple[float, float] | None


def segment_radiograph(
    segmenter: Segmenter, radiograph: Radiograph, boxes: Tensor | None = None
) -> Tensor:
    """Return [R,H,W] probabilities of the regions, 0 where the X-ray is masked out.

    Where it is open which polarity an X-ray has, they are of the reading in which more is found.

    Args:
        segmenter: the model.
        radiograph: the X-ray.
        boxes: [R,4] for models that need them.
    """
    # What is masked out looks as it does in prepared training images: nothing in the way.
    readings = [radiograph.image]
    if radiograph.opposite_polarity is not None:
        readings.append(radiograph.opposite_polarity)
    found = []
    for reading in readings:
        image = torch.where(radiograph.mask, reading.float(), 0.0)
        with torch.no_grad():
            found.append(segmenter.probabilities(image[None, None], boxes)[0] * radiograph.mask)
    return max(found, key=lambda probabilities: int((probabilities > HARD_MASK).sum()))


def boxes_found_by(segmenter: Segmenter, radiograph: Radiograph, wanted: Sequence[str]) -> Tensor:
    """Return [R,4] boxes of the regions ``wanted``, around what another model finds.

    Raises:
        InputError: the other model finds other regions, or needs boxes itself.
    """
    missing = [name for name in wanted if name not in segmenter.roi_names]
    if missing or segmenter.needs_boxes:
        raise InputError(
            f"boxes for {', '.join(wanted)} must come from a model that finds them without boxes, "
            f"got a {segmenter.card.kind} for {', '.join(segmenter.roi_names)}"
        )
    found = boxes_from_masks(segment_radiograph(segmenter, radiograph) > HARD_MASK)
    return found[[segmenter.roi_names.index(name) for name in wanted]]


def label_image(probabilities: Tensor) -> Tensor:
    """Return [H,W] uint8 of probabilities [R,H,W]: 1 + index of the likeliest region, or 0.

    It is 0 where none is likely.

    Where regions lie over each other, which is the rule in projections, this keeps only one.

    Raises:
        InputError: there are more than 255 regions.
    """
    if len(probabilities) > 255:
        raise InputError(f"a label image holds at most 255 ROIs, got {len(probabilities)}")
    most, index = probabilities.max(dim=0)
    return torch.where(most > HARD_MASK, index + 1, 0).to(torch.uint8)


def regions(probabilities: Tensor, names: Sequence[str]) -> list[Region]:
    """Measure size and place of each region in probabilities [R,H,W]."""
    found = []
    for name, mask in zip(names, probabilities > HARD_MASK, strict=True):
        pixels = mask.nonzero().double()
        centroid = None
        if len(pixels):
            row, column = pixels.mean(dim=0).tolist()
            centroid = (column, row)
        found.append(Region(name=name, area_px=len(pixels), centroid_px=centroid))
    return found
