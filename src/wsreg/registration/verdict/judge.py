"""From evidence to a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from wsreg.registration.result import Verdict, VerdictStatus
from wsreg.registration.verdict.config import TrustConfig
from wsreg.registration.verdict.evidence import OTHER_SIDE, Evidence, ViewEvidence
from wsreg.registration.verdict.rightness import rightness
from wsreg.registration.verdict.uncertainty import ANATOMY, IMAGE, together

Finding = tuple[VerdictStatus, str]
NEARLY_ALL = 0.98
"""A CT that covers more of an image is not worth a word."""
_CAUSES = {
    IMAGE: "what one view shows of it",
    ANATOMY: "anatomy that may have moved since the CT",
}


def judge(evidence: Evidence, config: TrustConfig) -> Verdict:
    """Return the verdict: what failed, else what to check, else what speaks for the answer."""
    told = [*_of_orientation(evidence, config), *_of_fitted_distances(evidence)]
    found: list[Finding] = [
        *((("fail", evidence.start_kept),) if evidence.start_kept else ()),
        *told,
        *_of_views(evidence, config),
        *_of_numbers(evidence, config),
        *_of_solver(evidence, config),
        *_of_regions(evidence, config),
        *(("check", doubt) for doubt in evidence.doubts),
    ]
    facts = (
        *_of_turn(evidence),
        *_of_coverage(evidence),
        *_of_polarity(evidence),
        *_of_distance(evidence),
    )
    failed = tuple(text for status, text in found if status == "fail")
    if failed:
        alone = (evidence.alone,) if evidence.alone else ()
        why = (text for _, text in told)
        kept = _of_start(evidence, config)
        return Verdict(status="fail", reasons=(*failed, *kept, *why, *alone, *facts))
    if found:
        return Verdict(status="check", reasons=(*(text for _, text in found), *facts))
    return Verdict(status="pass", reasons=(*_good_reasons(evidence), *facts))


def _of_start(e: Evidence, config: TrustConfig) -> tuple[str, ...]:
    """Return what an answer is that no start led to: the best start, or the best of their ends."""
    if e.start_kept:
        return ()
    if e.loss_end == e.loss_start:
        return ("No start led to a better pose: this is the best start.",)
    if looks_wrong([view.gradient_agreement for view in e.views], e.steepness, config):
        return ("No start led to a pose that looks right: this is the best of them.",)
    return ()


def looks_wrong(
    gradient_agreements: Iterable[float], steepness: float, config: TrustConfig
) -> bool:
    """Return whether an answer is so little like an X-ray that it is worth a wider search."""
    worst = min(rightness(value, steepness, config.weights) for value in gradient_agreements)
    return not worst >= config.rightness[0]


def _beyond(value: float, limits: tuple[float, float], text: str, *, lowest: bool) -> list[Finding]:
    """Return the finding, if a value is beyond its limits (check, fail)."""
    # What is not a number is beyond every limit.
    beyond = [not value >= limit if lowest else not value <= limit for limit in limits]
    if not any(beyond):
        return []
    return [("fail" if beyond[1] else "check", text)]


def _of_views(e: Evidence, config: TrustConfig) -> list[Finding]:
    """Return what is found in each view; where there are several, with its name."""
    found = []
    for view in e.views:
        where = f"View {view.name}: " if len(e.views) > 1 else ""
        findings = [
            *_of_likeness(view, e.steepness, config),
            *_beyond(view.overlap, config.overlap,
                     f"The CT covers only {view.overlap:.0%} of the image.", lowest=True),
            *_beyond(view.masked, config.masked,
                     f"{view.masked:.0%} of the image is masked.", lowest=False),
        ]  # fmt: skip
        found += [(status, f"{where}{text}") for status, text in findings]
    return found


def _of_coverage(e: Evidence) -> list[str]:
    """Name how much of each X-ray the CT covers, where it ends within it."""
    several = len(e.views) > 1
    return [
        f"{f'View {view.name}: the' if several else 'The'} CT is cut off and covers "
        f"{view.coverage:.0%} of the image, which alone counts."
        for view in e.views
        if view.coverage < NEARLY_ALL
    ]


def _of_turn(e: Evidence) -> list[str]:
    """Tell that the X-ray is turned; of a mirrored one that is told with the mirroring."""
    if e.orientation == "none" or "mirrored" in e.orientation:
        return []
    return [f"The X-ray lies turned by a {e.orientation} against the view asked for."]


def _of_polarity(e: Evidence) -> list[str]:
    """Tell that bone and air were exchanged, where the CT and not the X-ray told which is which."""
    if "opposite" not in e.polarity:
        return []
    return [f"The CT settled the polarity ({e.polarity}); --intensity says it beforehand."]


def _of_distance(e: Evidence) -> list[str]:
    """Tell what no single view can see: how the depth hangs on the distance."""
    if e.depth_per_percent_mm is None or (len(e.views) > 1 and not e.parallel):
        return []
    return [
        "Each percent by which the source-to-detector distance is wrong moves the answer "
        f"{abs(e.depth_per_percent_mm):.1f} mm in depth."
    ]


def _of_likeness(view: ViewEvidence, steepness: float, config: TrustConfig) -> list[Finding]:
    probability = rightness(view.gradient_agreement, steepness, config.weights)
    text = (
        f"The images are alike only to {view.similarity:.2f}: their edges agree to "
        f"{view.gradient_agreement:.3f}, and the loss rises by {steepness:.4f} beside the answer."
    )
    if math.isnan(view.similarity):
        return [("fail", text)]
    return _beyond(probability, config.rightness, text, lowest=True)


def _of_numbers(e: Evidence, config: TrustConfig) -> list[Finding]:
    return [
        *_of_contradiction(e, config),
        *_of_default_measure(e, config),
        *_beyond(e.shown, (config.shown, config.shown),
                 f"No X-ray shows more than {e.shown:.0%} of the body that is registered.",
                 lowest=True),
        *_of_depth(e.depth_deviation_mm.get(IMAGE, math.nan), config),
        *_beyond(e.disagreement_mm, config.disagreement_mm,
                 f"{e.rivals} of {e.starts} other starts end elsewhere, as similar, "
                 f"{e.disagreement_mm:.1f} mm away.", lowest=False),
    ]  # fmt: skip


def _of_contradiction(e: Evidence, config: TrustConfig) -> list[Finding]:
    if e.contradiction_mm is None:
        if len(e.views) == 1:
            return []
        return [("check", "Whether the views contradict each other cannot be told with this "
                 "measure.")]  # fmt: skip
    text = (
        f"View {e.contradicting} contradicts the others: alone it lies {e.contradiction_mm:.1f} mm "
        "elsewhere (the rig does not hold, the patient has moved, or the start was too far off)."
    )
    return _beyond(e.contradiction_mm, config.contradiction_mm, text, lowest=False)


def _of_default_measure(e: Evidence, config: TrustConfig) -> list[Finding]:
    if e.elsewhere_mm is None:
        return []
    text = f"By the default similarity the answer would lie {e.elsewhere_mm:.1f} mm elsewhere."
    return _beyond(e.elsewhere_mm, config.elsewhere_mm, text, lowest=False)


def _of_fitted_distances(e: Evidence) -> list[Finding]:
    if not e.fitted_distances_mm:
        return []
    fitted = listed([f"{mm:.0f} mm in {name}" for name, mm in e.fitted_distances_mm.items()])
    return [("check", "The X-rays fit better with source-to-detector distances of "
             f"{fitted}: is the calibration right?")]  # fmt: skip


def _of_depth(deviation_mm: float, config: TrustConfig) -> list[Finding]:
    """Judge what the images leave open; what the calibration does is the same for every answer."""
    if math.isnan(deviation_mm):
        return [("check", "How well the depth is known cannot be told with this measure.")]
    text = f"The images tell the depth only to {deviation_mm:.1f} mm (one sigma)."
    return _beyond(deviation_mm, config.depth_deviation_mm, text, lowest=False)


def _of_solver(e: Evidence, config: TrustConfig) -> list[Finding]:
    found: list[Finding] = []
    if not e.loss_end <= e.loss_start + 1e-9:
        found.append(("fail", "The answer fits worse than its start "
                      f"(loss {e.loss_end:.4f} against {e.loss_start:.4f})."))  # fmt: skip
    if not e.remaining_gain <= config.gain:
        found.append(("check", "The solver had not converged: its next step promises "
                      f"{e.remaining_gain:.1%} of the loss."))  # fmt: skip
    if not e.steepness >= 0.0:
        found.append(("check", "A pose beside the answer fits better: the loss falls by "
                      f"{-e.steepness:.4f} there."))  # fmt: skip
    elif e.steepness < config.steepness:
        found.append(("check", "The answer lies on a plain: beside it the loss rises by only "
                      f"{e.steepness:.4f}."))  # fmt: skip
    return found


def _of_orientation(e: Evidence, config: TrustConfig) -> list[Finding]:
    """Judge in which orientation the X-ray fits; one that is only turned is as good as upright."""
    found: list[Finding] = []
    mirrored = "mirrored" in e.orientation
    named = "" if e.other_view == OTHER_SIDE else e.other_view
    if mirrored:
        view = f" and say --view {named}" if named else ""
        advice = (
            f"leave out --mirror{view}" if e.mirror_asked
            else "if it is stored so, say --mirror" + (f" --view {named}" if named else "")
        )  # fmt: skip
        turn = e.orientation.partition(", ")[2]
        how = f"with left and right exchanged{f' and after a {turn}' if turn else ''}"
        found.append(("check", f"The X-ray fits the CT {how}, and the pose is of the mirrored "
                      f"image; {advice}."))  # fmt: skip
    if e.other_view and not (mirrored and named):
        which = f"{named}, not" if named else "the side opposite to"
        found.append(("check", f"The X-ray shows {which} the view asked for."))
    if e.other_reading is not None and e.other_reading < config.other_reading:
        way = "As it is stored" if mirrored else "Mirrored"
        found.append(("check", f"{way} the X-ray fits nearly as well (its loss is "
                      f"{e.other_reading:.2f} times this one's): which of the two it is cannot be "
                      "told."))  # fmt: skip
    return found


def _of_regions(e: Evidence, config: TrustConfig) -> list[Finding]:
    """Judge regions: they may be wrong, so they never say that an answer is."""
    if e.roi_dice is None:
        return []
    if e.mean_roi_dice is None:
        return [("check", "No region of interest took part: the masks show none that the CT's "
                 "labels and the X-ray's usable area hold.")]  # fmt: skip
    against = [name for name, dice in e.roi_dice.items() if not dice >= config.roi_contradiction]
    if against:
        text = "Region {} contradicts" if len(against) == 1 else "Regions {} contradict"
        return [("check", f"{text.format(listed(against))} the image.")]
    if not e.mean_roi_dice >= config.roi_dice:
        return [("check", "The regions of interest have a mean Dice of only "
                 f"{e.mean_roi_dice:.2f}.")]  # fmt: skip
    return []


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them: a, b and c."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _good_reasons(e: Evidence) -> tuple[str, ...]:
    reasons = [f"The similarity went from {e.similarity_start:.3f} to {e.similarity_end:.3f}."]
    if e.starts:
        reasons.append(f"None of {e.starts} other starts ended elsewhere as similar.")
    if e.mean_roi_dice is not None:
        reasons.append(f"The regions of interest have a mean Dice of {e.mean_roi_dice:.2f}.")
    if len(e.views) == 1 or e.parallel:
        reasons.append(_what_one_direction_cannot_tell(e))
    elif e.contradiction_mm is not None:
        most = max(e.contradiction_mm, 0.0)
        reasons.append(f"No view contradicts the others by more than {most:.1f} mm.")
    return tuple(reasons)


def _what_one_direction_cannot_tell(e: Evidence) -> str:
    largest = max(e.depth_deviation_mm, key=lambda cause: e.depth_deviation_mm[cause])
    cause = _CAUSES.get(largest, f"the tolerance of the {largest}")
    if e.parallel and largest == IMAGE:
        cause = "what views of one direction show of it"
    total = together(e.depth_deviation_mm.values())
    return f"The depth is known to {total:.1f} mm (one sigma), mostly because of {cause}."
