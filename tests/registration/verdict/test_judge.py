"""From evidence to verdicts."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from wsreg.registration.verdict.config import TrustConfig
from wsreg.registration.verdict.evidence import OTHER_SIDE, Evidence, ViewEvidence
from wsreg.registration.verdict.judge import judge, looks_wrong

VIEW = ViewEvidence(name="ap", similarity=0.9, gradient_agreement=0.99, overlap=1.0, masked=0.1)
GOOD = Evidence(
    views=(VIEW,),
    similarity_start=0.2,
    similarity_end=0.9,
    loss_start=0.3,
    loss_end=0.1,
    steepness=0.005,
    disagreement_mm=0.0,
    rivals=0,
    starts=4,
    depth_deviation_mm={"image": 0.3, "source-to-detector distance": 4.0, "pixel spacing": 0.0},
    remaining_gain=0.0,
)
DEPTH = (
    "The depth is known to 4.0 mm (one sigma), mostly because of the tolerance of the "
    "source-to-detector distance."
)

TWO = dataclasses.replace(
    GOOD, views=(VIEW, dataclasses.replace(VIEW, name="lateral")), contradicting="lateral",
    contradiction_mm=0.31,
)  # fmt: skip


def with_view(**change: Any) -> dict[str, Any]:
    return {"views": (dataclasses.replace(VIEW, **change),)}


def test_good_evidence_passes_with_reasons() -> None:
    verdict = judge(GOOD, TrustConfig())
    assert verdict.status == "pass"
    assert verdict.reasons == (
        "The similarity went from 0.200 to 0.900.",
        "None of 4 other starts ended elsewhere as similar.",
        DEPTH,
    )
    alone = judge(dataclasses.replace(GOOD, starts=0), TrustConfig())
    assert alone.reasons == ("The similarity went from 0.200 to 0.900.", DEPTH)


@pytest.mark.parametrize(
    ("elsewhere_mm", "status"), [(None, "pass"), (2.9, "pass"), (3.1, "check"), (10.1, "fail")]
)
def test_the_default_measure_has_a_say_in_what_another_one_found(
    elsewhere_mm: float | None, status: str
) -> None:
    verdict = judge(dataclasses.replace(GOOD, elsewhere_mm=elsewhere_mm), TrustConfig())
    assert verdict.status == status
    told = f"By the default similarity the answer would lie {elsewhere_mm} mm elsewhere."
    assert (told in verdict.reasons) == (status != "pass")
    lost = dataclasses.replace(GOOD, elsewhere_mm=math.nan)
    assert judge(lost, TrustConfig()).status == "fail"


def test_regions_of_interest_speak_for_an_answer_and_may_cost_a_little_similarity() -> None:
    evidence = dataclasses.replace(GOOD, roi_dice={"a": 0.9, "b": 0.8}, similarity_end=0.85)
    verdict = judge(evidence, TrustConfig())
    assert verdict.status == "pass"
    assert "The regions of interest have a mean Dice of 0.85." in verdict.reasons


def test_what_one_view_cannot_tell_has_its_largest_cause() -> None:
    """3 and 4 make 5."""
    causes = {"image": 3.0, "source-to-detector distance": 4.0}
    config = TrustConfig(depth_deviation_mm=(5.0, 20.0))
    (*_, text) = judge(dataclasses.replace(GOOD, depth_deviation_mm=causes), config).reasons
    assert text == (
        "The depth is known to 5.0 mm (one sigma), mostly because of the tolerance of the "
        "source-to-detector distance."
    )
    moved = dataclasses.replace(GOOD, depth_deviation_mm={"image": 0.3, "anatomy": 0.4})
    (*_, text) = judge(moved, TrustConfig()).reasons
    assert text == (
        "The depth is known to 0.5 mm (one sigma), mostly because of anatomy that may have moved "
        "since the CT."
    )
    own = dataclasses.replace(GOOD, depth_deviation_mm={"image": 1.2, "pixel spacing": 0.5})
    (*_, text) = judge(own, TrustConfig()).reasons
    assert text == (
        "The depth is known to 1.3 mm (one sigma), mostly because of what one view shows of it."
    )


def test_a_calibration_that_is_hardly_known_is_told_and_not_judged() -> None:
    causes = {"image": 0.3, "source-to-detector distance": 400.0}
    verdict = judge(dataclasses.replace(GOOD, depth_deviation_mm=causes), TrustConfig())
    assert verdict.status == "pass"
    assert "known to 400.0 mm" in verdict.reasons[-1]


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"loss_end": 0.31}, "fail", "fits worse than its start (loss 0.3100 against 0.3000)"),
        (
            {**with_view(similarity=0.6, gradient_agreement=0.96), "steepness": 0.004},
            "check",
            "alike only to 0.60: their edges agree to 0.960, and the loss rises by 0.0040",
        ),
        ({**with_view(gradient_agreement=0.9), "steepness": 5e-4}, "fail", "agree to 0.900"),
        ({**with_view(gradient_agreement=0.95), "steepness": 0.0}, "fail", "rises by 0.0000"),
        (
            {**with_view(gradient_agreement=0.999), "steepness": -0.01},
            "check",
            "A pose beside the answer fits better: the loss falls by 0.0100",
        ),
        ({"disagreement_mm": 2.0, "rivals": 1}, "check", "1 of 4 other starts"),
        ({"disagreement_mm": 9.0, "rivals": 2}, "fail", "2 of 4 other starts"),
        ({"depth_deviation_mm": {"image": 8.0}}, "check", "tell the depth only to 8.0 mm"),
        ({"depth_deviation_mm": {"image": 80.0}}, "fail", "depth"),
        ({"remaining_gain": 0.05}, "check", "had not converged"),
        (with_view(overlap=0.2), "check", "covers only 20%"),
        (with_view(overlap=0.05), "fail", "covers only 5%"),
        (with_view(masked=0.92), "check", "92% of the image is masked"),
        (with_view(masked=0.98), "fail", "98% of the image is masked"),
        ({"roi_dice": {"a": 0.9, "b": 0.5}}, "check", "mean Dice of only 0.70"),
        ({"roi_dice": {"a": 0.9, "b": 0.4}}, "check", "Region b contradicts the image."),
        (
            {"roi_dice": {"a": 0.1, "b": 0.9, "c": 0.0, "d": math.nan}},
            "check",
            "Regions a, c and d contradict the image.",
        ),
        ({"roi_dice": {}}, "check", "No region of interest took part"),
        ({"roi_dice": {"a": 0.9}, "loss_end": 0.4}, "fail", "fits worse than its start"),
    ],
)
def test_each_doubt_is_named(change: dict[str, Any], status: str, word: str) -> None:
    verdict = judge(dataclasses.replace(GOOD, **change), TrustConfig())
    assert verdict.status == status
    reasons = [text for text in verdict.reasons if not text.startswith("No start led to")]
    assert len(reasons) == 1
    assert word in reasons[0]


def test_of_several_views_the_reasons_name_the_one() -> None:
    doubtful = dataclasses.replace(VIEW, name="lateral", overlap=0.2)
    verdict = judge(dataclasses.replace(TWO, views=(VIEW, doubtful)), TrustConfig())
    assert verdict.status == "check"
    assert verdict.reasons == ("View lateral: The CT covers only 20% of the image.",)


def test_one_view_that_fails_is_enough() -> None:
    other = dataclasses.replace(VIEW, name="lateral", gradient_agreement=0.8)
    verdict = judge(dataclasses.replace(TWO, views=(VIEW, other)), TrustConfig())
    assert verdict.status == "fail"
    assert verdict.reasons[0].startswith("View lateral: ")


def test_a_failure_outweighs_a_doubt() -> None:
    evidence = dataclasses.replace(GOOD, **with_view(overlap=0.05, masked=0.92))
    verdict = judge(evidence, TrustConfig())
    assert verdict.status == "fail"
    assert verdict.reasons == ("The CT covers only 5% of the image.",)


def test_all_doubts_are_told() -> None:
    change = {**with_view(overlap=0.2, masked=0.92), "remaining_gain": 0.05}
    verdict = judge(dataclasses.replace(GOOD, **change), TrustConfig())
    assert verdict.status == "check"
    assert len(verdict.reasons) == 3


def test_the_limits_are_settings() -> None:
    strict = TrustConfig(overlap=(0.95, 0.85))
    for overlap, status in ((0.8, "fail"), (0.9, "check"), (0.95, "pass")):
        evidence = dataclasses.replace(GOOD, **with_view(overlap=overlap))
        assert judge(evidence, strict).status == status


def test_edges_that_agree_about_a_sharp_minimum_speak_for_an_image_that_is_unlike() -> None:
    with_a_tool = dataclasses.replace(GOOD, **with_view(similarity=0.4), similarity_end=0.4)
    assert judge(with_a_tool, TrustConfig()).status == "pass"


def test_what_is_unlike_looks_wrong() -> None:
    config = TrustConfig()
    assert not looks_wrong([0.99], 0.005, config)
    assert looks_wrong([0.9], 0.005, config)
    assert looks_wrong([0.97], 0.0005, config)
    assert looks_wrong([0.99, 0.9], 0.005, config)  # the worst of several views
    assert looks_wrong([math.nan], 0.005, config)
    assert looks_wrong([0.99], math.nan, config)


@pytest.mark.parametrize("name", ["similarity", "gradient_agreement", "overlap", "masked"])
def test_what_is_not_a_number_in_a_view_fails(name: str) -> None:
    spoilt = dataclasses.replace(GOOD, **with_view(**{name: math.nan}))
    assert judge(spoilt, TrustConfig()).status == "fail"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("steepness", "fail"),
        ("disagreement_mm", "fail"),
        ("loss_end", "fail"),
        ("loss_start", "fail"),
        ("remaining_gain", "check"),
    ],
)
def test_what_is_not_a_number_never_passes(name: str, status: str) -> None:
    spoilt = dataclasses.replace(GOOD, **{name: math.nan})  # type: ignore[arg-type]
    assert judge(spoilt, TrustConfig()).status == status


@pytest.mark.parametrize("depths", [{"image": math.nan, "pixel spacing": math.nan}, {}])
def test_a_depth_that_is_not_known_is_to_be_checked(depths: dict[str, float]) -> None:
    unknown = judge(dataclasses.replace(GOOD, depth_deviation_mm=depths), TrustConfig())
    assert unknown.status == "check"
    assert "cannot be told with this measure" in unknown.reasons[0]


def test_views_that_agree_say_so() -> None:
    verdict = judge(TWO, TrustConfig())
    assert verdict.status == "pass"
    assert verdict.reasons == (
        "The similarity went from 0.200 to 0.900.",
        "None of 4 other starts ended elsewhere as similar.",
        "No view contradicts the others by more than 0.3 mm.",
    )


@pytest.mark.parametrize(
    ("contradiction_mm", "status"),
    [(0.55, "pass"), (0.56, "check"), (1.5, "check"), (1.51, "fail"), (math.nan, "fail")],
)
def test_a_view_that_contradicts_the_others_is_named(contradiction_mm: float, status: str) -> None:
    evidence = dataclasses.replace(TWO, contradiction_mm=contradiction_mm)
    verdict = judge(evidence, TrustConfig())
    assert verdict.status == status
    if status != "pass":
        assert verdict.reasons == (
            f"View lateral contradicts the others: alone it lies {contradiction_mm:.1f} mm "
            "elsewhere (the rig does not hold, the patient has moved, or the start was too far "
            "off).",
        )


def test_views_that_could_not_be_compared_are_to_be_checked() -> None:
    """Nothing is claimed of what was not looked at."""
    verdict = judge(
        dataclasses.replace(TWO, contradicting="", contradiction_mm=None), TrustConfig()
    )
    assert verdict.status == "check"
    assert verdict.reasons == (
        "Whether the views contradict each other cannot be told with this measure.",
    )


def test_views_of_one_direction_know_the_depth_no_better_than_one() -> None:
    parallel = dataclasses.replace(TWO, parallel=True)
    assert judge(parallel, TrustConfig()).reasons[-1] == DEPTH
    own = dataclasses.replace(parallel, depth_deviation_mm={"image": 1.2, "pixel spacing": 0.5})
    assert judge(own, TrustConfig()).reasons[-1] == (
        "The depth is known to 1.3 mm (one sigma), mostly because of what views of one direction "
        "show of it."
    )


def test_what_views_find_alone_is_told_after_a_failure_only() -> None:
    alone = "Alone ap fits the CT, and lateral does not."
    failed = dataclasses.replace(TWO, contradiction_mm=9.0, alone=alone)
    assert judge(failed, TrustConfig()).reasons[-1] == alone
    assert len(judge(failed, TrustConfig()).reasons) == 2
    assert judge(dataclasses.replace(failed, alone=""), TrustConfig()).reasons[1:] == ()
    doubtful = dataclasses.replace(failed, contradiction_mm=1.0)
    assert alone not in judge(doubtful, TrustConfig()).reasons


def test_doubts_about_labels_are_to_be_checked() -> None:
    doubts = ("The labels of a look wrong.", "The labels of b look wrong.")
    verdict = judge(dataclasses.replace(GOOD, doubts=doubts), TrustConfig())
    assert verdict.status == "check"
    assert verdict.reasons == doubts


@pytest.mark.parametrize(("shown", "status"), [(0.05, "pass"), (0.04, "fail"), (math.nan, "fail")])
def test_a_body_that_no_xray_shows_fails(shown: float, status: str) -> None:
    verdict = judge(dataclasses.replace(GOOD, shown=shown), TrustConfig())
    assert verdict.status == status
    if status == "fail":
        assert verdict.reasons == (
            f"No X-ray shows more than {shown:.0%} of the body that is registered.",
        )


def test_an_xray_that_is_only_turned_is_as_good_as_upright() -> None:
    """It is said whatever the verdict."""
    for orientation in ("half turn", "quarter turn"):
        turned = dataclasses.replace(GOOD, orientation=orientation)
        for evidence, status in (
            (turned, "pass"),
            (dataclasses.replace(turned, remaining_gain=0.5), "check"),
            (dataclasses.replace(turned, loss_end=0.31), "fail"),
        ):
            verdict = judge(evidence, TrustConfig())
            assert verdict.status == status
            said = f"The X-ray lies turned by a {orientation} against the view asked for."
            assert verdict.reasons.count(said) == 1


@pytest.mark.parametrize(
    ("orientation", "after"),
    [
        ("mirrored", ""), ("mirrored, half turn", " and after a half turn"),
        ("mirrored, quarter turn", " and after a quarter turn"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("view", "options"), [("", "--mirror"), ("PA", "--mirror --view PA")])
def test_a_mirrored_xray_never_passes_and_is_told_how_to_be_read(
    orientation: Any, after: str, view: str, options: str
) -> None:
    """However far behind the other reading is."""
    evidence = dataclasses.replace(
        GOOD, orientation=orientation, other_view=view, other_reading=9.0
    )
    verdict = judge(evidence, TrustConfig())
    assert verdict.status == "check"
    assert verdict.reasons == (
        f"The X-ray fits the CT with left and right exchanged{after}, and the pose is of the "
        f"mirrored image; if it is stored so, say {options}.",
    )


def test_a_failure_at_the_start_itself_says_so() -> None:
    """No descent led anywhere better."""
    far = dataclasses.replace(VIEW, gradient_agreement=0.1)
    evidence = dataclasses.replace(GOOD, views=(far,), loss_end=GOOD.loss_start)
    verdict = judge(evidence, TrustConfig())
    assert verdict.status == "fail"
    assert "No start led to a better pose: this is the best start." in verdict.reasons
    elsewhere = judge(dataclasses.replace(GOOD, views=(far,)), TrustConfig())
    assert "No start led to a pose that looks right: this is the best of them." in elsewhere.reasons


def test_a_failure_also_says_how_the_xray_lies() -> None:
    """It may be why; what is only doubtful beside it is not told."""
    change: dict[str, Any] = {
        "orientation": "mirrored",
        "other_view": "AP",
        "other_reading": 1.0,
    }
    evidence = dataclasses.replace(GOOD, loss_end=0.31, remaining_gain=0.5, **change)
    verdict = judge(evidence, TrustConfig())
    assert verdict.status == "fail"
    failed, mirrored, other = verdict.reasons
    assert failed.startswith("The answer fits worse than its start")
    assert mirrored.endswith("say --mirror --view AP.")
    assert other.startswith("As it is stored the X-ray fits nearly as well")


def test_the_opposite_of_the_view_asked_for_is_to_be_checked() -> None:
    verdict = judge(dataclasses.replace(GOOD, other_view="RLAT"), TrustConfig())
    assert verdict.status == "check"
    assert verdict.reasons == ("The X-ray shows RLAT, not the view asked for.",)


def test_an_other_view_without_a_name_is_no_option() -> None:
    """As of C-arm angles."""
    nameless = "The X-ray shows the side opposite to the view asked for."
    plain = dataclasses.replace(GOOD, other_view=OTHER_SIDE)
    assert judge(plain, TrustConfig()).reasons == (nameless,)
    mirrored = judge(dataclasses.replace(plain, orientation="mirrored"), TrustConfig())
    assert mirrored.status == "check"
    assert mirrored.reasons[0].endswith("if it is stored so, say --mirror.")
    assert mirrored.reasons[1:] == (nameless,)


@pytest.mark.parametrize(
    ("other", "said"), [(None, False), (1.0, True), (1.09, True), (1.1, False), (math.nan, False)]
)
def test_two_readings_that_fit_alike_cannot_be_told_apart(other: float | None, said: bool) -> None:
    """From 1.1 times the loss on they can."""
    verdict = judge(dataclasses.replace(GOOD, other_reading=other), TrustConfig())
    assert verdict.status == ("check" if said else "pass")
    if said:
        assert verdict.reasons == (
            f"Mirrored the X-ray fits nearly as well (its loss is {other:.2f} times this one's): "
            "which of the two it is cannot be told.",
        )


def test_which_reading_is_the_other_one_is_named() -> None:
    evidence = dataclasses.replace(GOOD, orientation="mirrored", other_reading=1.03)
    verdict = judge(evidence, TrustConfig())
    assert verdict.status == "check"
    assert len(verdict.reasons) == 2
    assert verdict.reasons[1].startswith("As it is stored the X-ray fits nearly as well (its loss")
    strict = TrustConfig(other_reading=1.02)
    assert len(judge(evidence, strict).reasons) == 1


def test_what_a_cut_ct_covers_is_told_whatever_the_verdict() -> None:
    """It alone changes none; 98 % and more is all."""
    said = "The CT is cut off and covers 61% of the image, which alone counts."
    whole = judge(GOOD, TrustConfig()).reasons
    for coverage, expected in ((1.0, whole), (0.98, whole), (0.61, (*whole, said))):
        verdict = judge(dataclasses.replace(GOOD, **with_view(coverage=coverage)), TrustConfig())
        assert verdict.status == "pass"
        assert verdict.reasons == expected
    for change, status in (({"overlap": 0.2}, "check"), ({"overlap": 0.05}, "fail")):
        evidence = dataclasses.replace(
            GOOD, **with_view(coverage=0.61, **change), alone="Alone."
        )  # fmt: skip
        verdict = judge(evidence, TrustConfig())
        assert verdict.status == status
        assert verdict.reasons[0].startswith("The CT covers only")
        assert verdict.reasons[-1] == said


def test_of_several_views_the_one_that_is_not_covered_is_named() -> None:
    part = dataclasses.replace(VIEW, name="lateral", coverage=0.4)
    verdict = judge(dataclasses.replace(TWO, views=(VIEW, part)), TrustConfig())
    assert verdict.status == "pass"
    assert verdict.reasons[-1] == (
        "View lateral: the CT is cut off and covers 40% of the image, which alone counts."
    )
    assert sum("cut off" in reason for reason in verdict.reasons) == 1


def test_a_start_that_was_kept_fails_with_its_reason_first() -> None:
    kept = "The bone was not found near its start: the start is the answer."
    verdict = judge(dataclasses.replace(GOOD, start_kept=kept), TrustConfig())
    assert verdict.status == "fail"
    assert verdict.reasons == (kept,)


@pytest.mark.parametrize(
    ("dice", "status"), [(0.75, "pass"), (0.74, "check"), (0.5, "check"), (0.49, "check")]
)
def test_regions_never_fail(dice: float, status: str) -> None:
    """Under 0.75 on average they are doubtful, under 0.5 one contradicts the image."""
    verdict = judge(dataclasses.replace(GOOD, roi_dice={"a": dice}), TrustConfig())
    assert verdict.status == status
    assert ("Region a contradicts the image." in verdict.reasons) == (dice < 0.5)
