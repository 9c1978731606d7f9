"""One step of the way to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

TraceStage = Literal["start", "ROIs", "image", "image and ROIs", "answer"]
"""What was minimised at a step: regions alone, the image, or both.  ``start`` is the start that was
asked for, before any of it; ``answer`` is one that no descent ended at."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TraceStep:
    """Where the descent to the answer stood after a step.

    Args:
        stage: what was minimised.
        level: of the resolution, coarse to fine, from 1.
        iteration: of the descent at this level; 0 where it begins.
        accepted: whether the step was taken; else the poses are those of before.  Adam takes
            every step, and those to the lowest loss so far are the accepted ones.
        camera_from_ct: [K,4,4] float64 the poses of the bodies in the first view, in their order.
        loss: at this level; those of different levels do not compare.
        similarity: at the finest level, of the view where it is lowest; 1 is a perfect match.
        damping: of the step, NaN where there is none.
        roi_dice: Dice of each region of interest that takes part, at the finest level.
        moving: of each view, [H,W] rendered at the finest level.
    """

    stage: TraceStage
    level: int
    iteration: int
    accepted: bool
    camera_from_ct: Tensor
    loss: float
    similarity: float
    damping: float
    roi_dice: Mapping[str, float] = field(default_factory=dict)
    moving: tuple[Tensor, ...] = ()
