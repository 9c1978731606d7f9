"""How far to trust an answer: standard deviations from the normal matrix, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.registration.result import Verdict, VerdictStatus
from wsreg.similarity.linearization import Linearization
from wsreg.similarity.local_ncc import prepare_windows, window_similarities

PIXELS_PER_RESIDUAL = 6.0
"""Neighbouring pixels err together (scatter, interpolation, anatomy that moved): about so many
count as one independent residual.  Set so that errors on simulated X-rays match what is stated."""

ROI_SLACK = 0.01
"""Regions of interest may cost the image this much similarity."""


@dataclass(frozen=True, kw_only=True)
class TrustConfig:
    """Limits of the verdict; beyond the first of a pair is ``check``, beyond the second ``fail``.

    Args:
        regional_similarity: lowest mean NCC over windows of a sixth of the image.  On simulated
            X-rays answers within 1 mm have 0.62 to 0.85; wrong ones and wrong patients 0.25 to 0.6,
            but one that settled a vertebra away had 0.75.
        disagreement_mm: largest mean 3D distance in the image plane between this answer and
            descents from other starts that reach the same loss.
        depth_deviation_mm: largest standard deviation of the depth.
        masked: largest share of the image that is masked.
        overlap: lowest share of the valid image that the CT's projection covers.
        gain: lowest improvement of the loss that any remaining gradient may promise, as a share
            of the loss, before the answer counts as not converged (check only).
        roi_dice: lowest mean Dice of the regions of interest, where there are any.
    """

    regional_similarity: tuple[float, float] = (0.70, 0.60)
    disagreement_mm: tuple[float, float] = (1.0, 5.0)
    depth_deviation_mm: tuple[float, float] = (5.0, 20.0)
    masked: tuple[float, float] = (0.6, 0.9)
    overlap: tuple[float, float] = (0.3, 0.1)
    gain: float = 0.01
    roi_dice: tuple[float, float] = (0.75, 0.5)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of an answer.

    Args:
        similarity_start, similarity_end: 1 less the loss at the finest level.
        regional_similarity: mean NCC over large windows: less than the loss it depends on noise,
            more than global NCC on where things are.
        disagreement_mm: of the descents from other starts, NaN if none was tried.
        rivals: how many of them reached another pose with a loss as low as the answer's.
        starts: how many of them there were.
        depth_deviation_mm: standard deviation along the rays.
        remaining_gain: share of the loss that the last linearisation still promises.
        overlap, masked: shares of the image.
        roi_dice: of each region that took part, by name; None if no regions were given.
    """

    similarity_start: float
    similarity_end: float
    regional_similarity: float
    disagreement_mm: float
    rivals: int
    starts: int
    depth_deviation_mm: float
    remaining_gain: float
    overlap: float
    masked: float
    roi_dice: Mapping[str, float] | None = None

    @property
    def mean_roi_dice(self) -> float | None:
        """Over the regions that took part; None if none did."""
        values = (self.roi_dice or {}).values()
        return sum(values) / len(values) if values else None


def standard_deviation(linearization: Linearization, valid_pixels: int) -> Tensor:
    """[6] float64 standard deviations of the pose parameters (rad, mm).

    The loss is half a sum of squared residuals over unit vectors: with N independent residuals
    the covariance is  (2 loss / N) normal_matrix^-1.
    """
    independent = max(valid_pixels / PIXELS_PER_RESIDUAL - 6.0, 1.0)
    scale = linearization.normal_matrix.diagonal().clamp_min(1e-30).sqrt()
    unit = linearization.normal_matrix / torch.outer(scale, scale)
    values, vectors = torch.linalg.eigh(unit)
    variance = (vectors.square() / values.clamp_min(1e-12)).sum(dim=1) / scale.square()
    deviation: Tensor = (variance * 2.0 * linearization.value / independent).sqrt()
    return deviation


def remaining_gain(linearization: Linearization) -> float:
    """Share of the loss that a full Gauss-Newton step still promises."""
    step = torch.linalg.lstsq(linearization.normal_matrix, linearization.gradient[:, None]).solution
    promised = 0.5 * float(linearization.gradient @ step[:, 0])
    return promised / max(float(linearization.value), 1e-12)


def regional_similarity(fixed: Tensor, mask: Tensor, moving: Tensor) -> float:
    """Mean NCC of two images [H,W] over windows of a sixth of the longer side, under the mask."""
    size = min(max(2, max(fixed.shape) // 6), *fixed.shape)
    windows = prepare_windows(fixed, mask, size, max(1, size // 4))
    return float(window_similarities(windows, moving.to(fixed)).mean())


def judge(evidence: Evidence, config: TrustConfig) -> Verdict:
    """The verdict with its reasons: what failed, else what to check, else what speaks for it."""
    found: list[tuple[VerdictStatus, str]] = []

    def limit(value: float, bounds: tuple[float, float], lowest: bool, text: str) -> None:
        beyond = [(value < bound) if lowest else (value > bound) for bound in bounds]
        if any(beyond):
            found.append(("fail" if beyond[1] else "check", text))

    e = evidence
    if e.similarity_end < e.similarity_start - (ROI_SLACK if e.roi_dice else 1e-9):
        found.append(("fail", "The answer is less similar than its start "
                      f"({e.similarity_end:.3f} against {e.similarity_start:.3f})."))  # fmt: skip
    limit(e.regional_similarity, config.regional_similarity, True,
          f"The mean similarity of image regions is only {e.regional_similarity:.2f}.")  # fmt: skip
    limit(e.overlap, config.overlap, True,
          f"The CT covers only {e.overlap:.0%} of the image.")  # fmt: skip
    limit(e.masked, config.masked, False, f"{e.masked:.0%} of the image is masked.")
    limit(e.depth_deviation_mm, config.depth_deviation_mm, False,
          f"The depth is known only to {e.depth_deviation_mm:.1f} mm (one sigma).")  # fmt: skip
    limit(e.disagreement_mm, config.disagreement_mm, False,
          f"{e.rivals} of {e.starts} other starts end elsewhere, as similar, "
          f"{e.disagreement_mm:.1f} mm away.")  # fmt: skip
    if e.remaining_gain > config.gain:
        found.append(("check", "The solver had not converged: its next step promises "
                      f"{e.remaining_gain:.1%} of the loss."))  # fmt: skip
    if e.mean_roi_dice is not None:
        limit(e.mean_roi_dice, config.roi_dice, True,
              f"The regions of interest have a mean Dice of only {e.mean_roi_dice:.2f}."
        )  # fmt: skip
    elif e.roi_dice is not None:
        found.append(("check", "No region of interest took part: the masks show none that the CT's "
                      "labels and the X-ray's usable area hold."))  # fmt: skip
    failed = tuple(text for status, text in found if status == "fail")
    if failed:
        return Verdict(status="fail", reasons=failed)
    if found:
        return Verdict(status="check", reasons=tuple(text for _, text in found))
    return Verdict(status="pass", reasons=_good_reasons(e))


def _good_reasons(e: Evidence) -> tuple[str, ...]:
    reasons = [f"The similarity rose from {e.similarity_start:.3f} to {e.similarity_end:.3f}."]
    if e.starts:
        reasons.append(f"None of {e.starts} other starts ended elsewhere as similar.")
    if e.mean_roi_dice is not None:
        reasons.append(f"The regions of interest have a mean Dice of {e.mean_roi_dice:.2f}.")
    return tuple(reasons)
