"""From evidence to a verdict."""

from __future__ import annotations

import math

from wsreg.registration.result import Verdict, VerdictStatus
from wsreg.registration.verdict.config import TrustConfig
from wsreg.registration.verdict.evidence import Evidence


def judge(evidence: Evidence, config: TrustConfig) -> Verdict:
    """Return the verdict: what failed, else what to check, else what speaks for the answer."""
    found = [*_of_numbers(evidence, config), *_of_solver(evidence, config)]
    found += _of_regions(evidence, config)
    failed = tuple(text for status, text in found if status == "fail")
    if failed:
        return Verdict(status="fail", reasons=failed)
    if found:
        return Verdict(status="check", reasons=tuple(text for _, text in found))
    return Verdict(status="pass", reasons=_good_reasons(evidence))


def _beyond(
    value: float, limits: tuple[float, float], text: str, *, lowest: bool
) -> list[tuple[VerdictStatus, str]]:
    """Return the finding, if a value is beyond its limits (check, fail)."""
    # What is not a number is beyond every limit.
    beyond = [not value >= limit if lowest else not value <= limit for limit in limits]
    if not any(beyond):
        return []
    return [("fail" if beyond[1] else "check", text)]


def _of_numbers(e: Evidence, config: TrustConfig) -> list[tuple[VerdictStatus, str]]:
    return [
        *_of_likeness(e.similarity_end, e.gradient_agreement, config),
        *_beyond(e.overlap, config.overlap,
                 f"The CT covers only {e.overlap:.0%} of the image.", lowest=True),
        *_beyond(e.masked, config.masked,
                 f"{e.masked:.0%} of the image is masked.", lowest=False),
        *_of_depth(e.depth_deviation_mm, config),
        *_beyond(e.disagreement_mm, config.disagreement_mm,
                 f"{e.rivals} of {e.starts} other starts end elsewhere, as similar, "
                 f"{e.disagreement_mm:.1f} mm away.", lowest=False),
    ]  # fmt: skip


def _of_depth(deviation_mm: float, config: TrustConfig) -> list[tuple[VerdictStatus, str]]:
    if math.isnan(deviation_mm):
        return [("check", "How well the depth is known cannot be told with this measure.")]
    text = f"The depth is known only to {deviation_mm:.1f} mm (one sigma)."
    return _beyond(deviation_mm, config.depth_deviation_mm, text, lowest=False)


def _of_likeness(
    similarity: float, gradient_agreement: float, config: TrustConfig
) -> list[tuple[VerdictStatus, str]]:
    if similarity >= config.similar_enough:
        return []
    text = (
        f"The images are alike only to {similarity:.2f}, "
        f"and their edges agree only to {gradient_agreement:.2f}."
    )
    if math.isnan(similarity):
        return [("fail", text)]
    return _beyond(gradient_agreement, config.gradient_agreement, text, lowest=True)


def looks_wrong(similarity: float, gradient_agreement: float, config: TrustConfig) -> bool:
    """Return whether an answer is so little like the X-ray that it is worth a wider search."""
    return bool(_of_likeness(similarity, gradient_agreement, config))


def _of_solver(e: Evidence, config: TrustConfig) -> list[tuple[VerdictStatus, str]]:
    found: list[tuple[VerdictStatus, str]] = []
    if e.loss_end > e.loss_start + 1e-9:
        found.append(("fail", "The answer fits worse than its start "
                      f"(loss {e.loss_end:.4f} against {e.loss_start:.4f})."))  # fmt: skip
    if e.remaining_gain > config.gain:
        found.append(("check", "The solver had not converged: its next step promises "
                      f"{e.remaining_gain:.1%} of the loss."))  # fmt: skip
    return found


def _of_regions(e: Evidence, config: TrustConfig) -> list[tuple[VerdictStatus, str]]:
    if e.mean_roi_dice is not None:
        return _beyond(
            e.mean_roi_dice, config.roi_dice,
            f"The regions of interest have a mean Dice of only {e.mean_roi_dice:.2f}.", lowest=True,
        )  # fmt: skip
    if e.roi_dice is not None:
        return [("check", "No region of interest took part: the masks show none that the CT's "
                 "labels and the X-ray's usable area hold.")]  # fmt: skip
    return []


def _good_reasons(e: Evidence) -> tuple[str, ...]:
    reasons = [f"The similarity went from {e.similarity_start:.3f} to {e.similarity_end:.3f}."]
    if e.starts:
        reasons.append(f"None of {e.starts} other starts ended elsewhere as similar.")
    if e.mean_roi_dice is not None:
        reasons.append(f"The regions of interest have a mean Dice of {e.mean_roi_dice:.2f}.")
    return tuple(reasons)
