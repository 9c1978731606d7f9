"""Limits of the verdict."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrustConfig:
    """Limits of the verdict; beyond the first of a pair is ``check``, beyond the second ``fail``.

    Args:
        gradient_agreement: lowest correlation of gradients in the best blocks of the image, for
            answers that are less similar than ``similar_enough``.  Of simulated X-rays, tools and
            narrow fields included, right answers have at least 0.99; wrong ones at most 0.98, and
            a similarity under 0.69.
        similar_enough: an answer with this similarity needs no other sign that it is right.
        disagreement_mm: largest mean 3D distance between this answer and descents from other
            starts that reach the same loss.
        depth_deviation_mm: largest standard deviation of the depth.
        masked: largest fraction of the image that is masked.
        overlap: lowest fraction of the valid image that the CT's projection covers.
        gain: lowest improvement of the loss that any remaining gradient may promise, as a fraction
            of the loss, before the answer counts as not converged (check only).
        roi_dice: lowest mean Dice of the regions of interest, where there are any.
        shown: lowest fraction of a body that an X-ray shows, for its pose to be its own.
        body_rotation_deg: largest standard deviation of a body's rotations.
        strain: largest movement of a body against the first one, over what its tie expects.
    """

    gradient_agreement: tuple[float, float] = (0.985, 0.94)
    similar_enough: float = 0.72
    disagreement_mm: tuple[float, float] = (1.0, 5.0)
    depth_deviation_mm: tuple[float, float] = (5.0, 20.0)
    masked: tuple[float, float] = (0.6, 0.9)
    overlap: tuple[float, float] = (0.3, 0.1)
    gain: float = 0.01
    roi_dice: tuple[float, float] = (0.75, 0.5)
    shown: float = 0.05
    body_rotation_deg: float = 3.0
    strain: float = 4.0
