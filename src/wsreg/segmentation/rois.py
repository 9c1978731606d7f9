"""What is known of the regions of interest in one X-ray, whoever found them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from torch import Tensor

from wsreg.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class RoiTarget:
    """Regions of an X-ray, and where the same regions come from on the rendered side.

    Args:
        names: of the R regions; there may be none.
        masks: [R,H,W] float32 hard masks or probabilities on the X-ray's grid.
        labels: CT labels of each region, which are rendered to compare with the masks.
        known: [R,H,W] bool, False where the masks do not tell whether the region is there (in a
            label image, a region may go on behind another one); None where all is known.
        moving_segmenter: finds the regions in rendered images [B,1,H,W] of attenuation, gives
            probabilities [B,R,H,W] and is differentiable to the images; None renders the regions
            from ``labels``.

    Raises:
        InputError: parts that do not fit each other, or masks that are no probabilities.
    """

    names: tuple[str, ...]
    masks: Tensor
    labels: tuple[tuple[int, ...], ...] = ()
    known: Tensor | None = None
    moving_segmenter: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        count = len(self.names)
        if self.masks.ndim != 3 or len(self.masks) != count:
            raise InputError(
                f"ROI masks must be [R,H,W] with one mask for each of the {count} names, "
                f"got {list(self.masks.shape)}"
            )
        inside = (self.masks >= 0) & (self.masks <= 1)  # NaN fails both
        if not bool(inside.all()):
            raise InputError("ROI masks must be probabilities from 0 to 1")
        if self.known is not None and self.known.shape != self.masks.shape:
            raise InputError(
                f"known must have the ROI masks' shape {list(self.masks.shape)}, "
                f"got {list(self.known.shape)}"
            )
        if self.moving_segmenter is None and len(self.labels) != count:
            raise InputError(
                f"labels must name the CT labels of each of the {count} ROIs, "
                f"got {len(self.labels)} groups"
            )

    def restricted_to(self, labels: Collection[int]) -> RoiTarget:
        """Return the regions that are made of these CT labels only.

        A mask of a whole region is not to be compared with a part of it.
        """
        return self.at(
            [index for index, group in enumerate(self.labels) if set(group) <= set(labels)]
        )

    def at(self, kept: Sequence[int]) -> RoiTarget:
        """Return the regions at these indices."""
        chosen, segmenter = list(kept), self.moving_segmenter
        return RoiTarget(
            names=tuple(self.names[index] for index in chosen),
            masks=self.masks[chosen],
            labels=tuple(self.labels[index] for index in chosen) if self.labels else (),
            known=None if self.known is None else self.known[chosen],
            moving_segmenter=(
                None if segmenter is None else lambda images: segmenter(images)[:, chosen]
            ),
        )

    def mirrored(self) -> RoiTarget:
        """Return the regions of the mirrored X-ray."""
        known = None if self.known is None else self.known.flip(-1)
        return dataclasses.replace(self, masks=self.masks.flip(-1), known=known)

    def known_where(self, valid: Tensor) -> Tensor:
        """Return [R,H,W] bool, the pixels of ``valid`` [H,W] of which masks tell something."""
        return valid.expand_as(self.masks) if self.known is None else self.known & valid
