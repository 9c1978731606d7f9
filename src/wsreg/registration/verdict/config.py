"""Limits of the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsreg.registration.verdict.calibration import CalibrationTolerance


@dataclass(frozen=True, kw_only=True)
class RightnessWeights:
    """Weights of the two signs by which right answers are told from wrong ones.

    The log odds of a right answer are the ``offset`` and, each with its weight, two decimal
    logarithms: how close the edges come to agreement, -log10(1 - gradient agreement), and how sharp
    the minimum is, log10(steepness).  They are a logistic regression on the choosing half of
    ``benchmarks/verdict.py``, in which right and wrong answers count alike.
    """

    agreement: float = 7.5
    steepness: float = 2.8
    offset: float = -3.8


@dataclass(frozen=True, kw_only=True)
class TrustConfig:
    """Limits of the verdict; beyond the first of a pair is ``check``, beyond the second ``fail``.

    Args:
        rightness: lowest probability that an answer is right, by ``weights``.  Wrong answers of the
            choosing half have at most 0.71, 0.73 if the weights are those of all other CTs; 4 % of
            the right ones have less than the limit.
        weights: of the signs.
        steepness: lowest rise of the loss beside the answer.  Of the right answers of the choosing
            half one in 190 has less.  It was set when two strangers in ``confirming`` had passed,
            of 157 wrong answers there: virtual people who are very alike.
        disagreement_mm: largest mean 3D distance between this answer and descents from other
            starts that reach the same loss; right answers of the choosing half have none.
        depth_deviation_mm: largest standard deviation of the depth as far as the images know it;
            what anatomy that moved and the calibration leave open is told and not judged.  By
            judgement: right answers of the choosing half have at most 1.7.
        masked: largest fraction of the image that is masked; right answers of the choosing half
            have up to 0.9.
        overlap: lowest fraction of the valid image that the CT's projection covers; by judgement.
        gain: lowest improvement of the loss that any remaining gradient may promise, as a fraction
            of the loss, before the answer counts as not converged (check only).
        roi_dice: lowest mean Dice of the regions of interest, where there are any (check only);
            by judgement.
        roi_contradiction: lowest Dice of a region that does not contradict the image (check only).
        calibration: how well the cameras are known.
        elsewhere_mm: how far from the answer the default measure may have the first body, where
            another measure was minimised.  Right answers of MSE and MAE on X-rays kept for choosing
            have at most 2.1, wrong ones at least 15.
        contradiction_mm: how far a view may move across its image, if it is alone, beyond its
            noise.  Of 12 pairs kept for choosing, views of one pose moved by at most 0.45, noise
            included, and those of a patient who had moved 1.5 deg and 10 mm between them by at
            least 0.59.
        shown: lowest fraction of a body that an X-ray shows, for its pose to be its own.
        body_rotation_deg: largest standard deviation of a body's rotations.
        other_reading: lowest loss of the X-ray with left and right exchanged, over the answer's.
            By judgement: of 116 right answers of searches on cases kept for choosing the lowest is
            1.29; a phantom that is nearly its own mirror image has less.
        strain: largest movement of a body against the first one, over what its tie expects.
    """

    rightness: tuple[float, float] = (0.8, 0.2)
    weights: RightnessWeights = field(default_factory=RightnessWeights)
    steepness: float = 1e-3
    disagreement_mm: tuple[float, float] = (1.0, 5.0)
    depth_deviation_mm: tuple[float, float] = (5.0, 20.0)
    masked: tuple[float, float] = (0.9, 0.97)
    overlap: tuple[float, float] = (0.3, 0.1)
    gain: float = 0.01
    roi_dice: float = 0.75
    roi_contradiction: float = 0.5
    calibration: CalibrationTolerance = field(default_factory=CalibrationTolerance)
    elsewhere_mm: tuple[float, float] = (3.0, 10.0)
    contradiction_mm: tuple[float, float] = (0.55, 1.5)
    shown: float = 0.05
    body_rotation_deg: float = 3.0
    other_reading: float = 1.1
    strain: float = 4.0
