"""What is known of an answer, as numbers and names: all that the verdict is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wsreg.registration.result import Orientation

OTHER_SIDE = "the other side"
"""The opposite of a view that has no name."""


@dataclass(frozen=True, kw_only=True)
class ViewEvidence:
    """What one X-ray says of an answer.

    Args:
        name: of the X-ray.
        similarity: of the measure at the finest level; 1 is a perfect match.
        gradient_agreement: correlation of image gradients where it is best, from -1 to 1.
        overlap: fraction of the valid image that the CT covers.
        masked: fraction of the image that is masked.
        coverage: fraction of the valid image whose rays do not leave the CT where that is cut off;
            no other takes part.
    """

    name: str
    similarity: float
    gradient_agreement: float
    overlap: float
    masked: float
    coverage: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of an answer.

    Args:
        views: of each X-ray.
        similarity_start, similarity_end: of the X-ray where it is lowest.
        loss_start, loss_end: what was minimised, at the finest level.
        steepness: smallest rise of the loss beside the answer.
        disagreement_mm: of the descents from other starts that are as good, 0 if there are none.
        rivals: how many of them reached another pose with a loss as low as the answer's.
        starts: how many of them there were.
        depth_deviation_mm: standard deviation along the rays, by cause: the ``image`` itself and
            what the calibration leaves open; NaN if not known.
        remaining_gain: fraction of the loss that the last model still promises.
        contradiction_mm: how far the view that moves most across its image, if it is alone, does
            so, beyond its noise; None where views were not compared.
        contradicting: the name of that view.
        doubts: what looks wrong about the labels, a sentence each.
        parallel: whether all of several views look in one direction.
        shown: fraction of the first body that the views show, in the view that shows most.
        alone: what the views find, each alone, where they were asked; a sentence.
        elsewhere_mm: how far from the answer the default measure would have the first body, where
            another one was minimised; None where it was itself.
        start_kept: why the start is the answer, where it is for want of a better one.
        roi_dice: of each region that took part, by name; None if no regions were given.
        orientation: how a single X-ray lies against the view asked for.
        other_view: the view that it shows, if that is another than the one asked for.
        polarity: what was done about the X-rays' polarity.
        mirror_asked: whether the X-ray was mirrored on reading, as asked.
        depth_per_percent_mm: how far the answer moves along the rays for each percent by which the
            source-to-detector distance, or the pixel spacing, is wrong; None if not known.
        fitted_distances_mm: of each view by name, the source-to-detector distance that the X-rays
            would clearly rather have together; empty if they would not, or were not asked.
        other_reading: the lowest loss with left and right exchanged over the answer's; None if that
            was not tried.
    """

    views: tuple[ViewEvidence, ...]
    similarity_start: float
    similarity_end: float
    loss_start: float
    loss_end: float
    steepness: float
    disagreement_mm: float
    rivals: int
    starts: int
    depth_deviation_mm: Mapping[str, float]
    remaining_gain: float
    contradiction_mm: float | None = None
    contradicting: str = ""
    doubts: tuple[str, ...] = ()
    parallel: bool = False
    shown: float = 1.0
    alone: str = ""
    start_kept: str = ""
    elsewhere_mm: float | None = None
    roi_dice: Mapping[str, float] | None = None
    orientation: Orientation = "none"
    other_view: str = ""
    polarity: str = "as read"
    mirror_asked: bool = False
    depth_per_percent_mm: float | None = None
    fitted_distances_mm: Mapping[str, float] = field(default_factory=dict)
    other_reading: float | None = None

    @property
    def mean_roi_dice(self) -> float | None:
        """Return the mean Dice over the regions that took part; None if none did."""
        values = (self.roi_dice or {}).values()
        return sum(values) / len(values) if values else None


def evidence_from_record(record: Mapping[str, Any]) -> Evidence:
    """Return the evidence of a result's record, also after a way through JSON.

    What JSON has no number for is NaN again.
    """
    fields = {name: value for name, value in record.items() if name not in _MAY_BE_NONE}
    fields = {name: _with_nan(value) for name, value in fields.items()}
    fields |= {name: record[name] for name in _MAY_BE_NONE if name in record}
    views = tuple(ViewEvidence(**view) for view in fields["views"])
    doubts = tuple(fields.get("doubts", ()))
    return Evidence(**{**fields, "views": views, "doubts": doubts})


_MAY_BE_NONE = (
    "contradiction_mm", "roi_dice", "other_reading", "depth_per_percent_mm", "elsewhere_mm",
)  # fmt: skip


def _with_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_nan(item) for item in value]
    return math.nan if value is None else value
