"""From evidence to verdicts."""

from __future__ import annotations

import dataclasses

import pytest

from wsreg.registration.verdict.config import TrustConfig
from wsreg.registration.verdict.evidence import Evidence
from wsreg.registration.verdict.judge import judge, looks_wrong

GOOD = Evidence(
    similarity_start=0.2,
    similarity_end=0.9,
    loss_start=0.3,
    loss_end=0.1,
    gradient_agreement=0.97,
    disagreement_mm=0.0,
    rivals=0,
    starts=4,
    depth_deviation_mm=1.0,
    remaining_gain=0.0,
    overlap=1.0,
    masked=0.1,
)


def test_good_evidence_passes_with_reasons() -> None:
    verdict = judge(GOOD, TrustConfig())
    assert verdict.status == "pass"
    assert verdict.reasons == (
        "The similarity went from 0.200 to 0.900.",
        "None of 4 other starts ended elsewhere as similar.",
    )
    alone = judge(dataclasses.replace(GOOD, starts=0), TrustConfig())
    assert alone.reasons == ("The similarity went from 0.200 to 0.900.",)


def test_regions_of_interest_speak_for_an_answer_and_may_cost_a_little_similarity() -> None:
    evidence = dataclasses.replace(GOOD, roi_dice={"a": 0.9, "b": 0.8}, similarity_end=0.85)
    verdict = judge(evidence, TrustConfig())
    assert verdict.status == "pass"
    assert verdict.reasons[-1] == "The regions of interest have a mean Dice of 0.85."


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"loss_end": 0.31}, "fail", "fits worse than its start (loss 0.3100 against 0.3000)"),
        (
            {"similarity_end": 0.6},
            "check",
            "0.60, and their edges agree only to 0.97",
        ),
        ({"similarity_end": 0.6, "gradient_agreement": 0.9}, "fail", "agree only to 0.90"),
        ({"disagreement_mm": 2.0, "rivals": 1}, "check", "1 of 4 other starts"),
        ({"disagreement_mm": 9.0, "rivals": 2}, "fail", "2 of 4 other starts"),
        ({"depth_deviation_mm": 8.0}, "check", "depth is known only to 8.0 mm"),
        ({"depth_deviation_mm": 80.0}, "fail", "depth"),
        ({"remaining_gain": 0.05}, "check", "had not converged"),
        ({"overlap": 0.2}, "check", "covers only 20%"),
        ({"overlap": 0.05}, "fail", "covers only 5%"),
        ({"masked": 0.7}, "check", "70% of the image is masked"),
        ({"masked": 0.95}, "fail", "95% of the image is masked"),
        ({"roi_dice": {"a": 0.9, "b": 0.5}}, "check", "mean Dice of only 0.70"),
        ({"roi_dice": {"a": 0.4}}, "fail", "mean Dice of only 0.40"),
        ({"roi_dice": {}}, "check", "No region of interest took part"),
        ({"roi_dice": {"a": 0.9}, "loss_end": 0.4}, "fail", "fits worse than its start"),
    ],
)
def test_each_doubt_is_named(change: dict[str, float], status: str, word: str) -> None:
    verdict = judge(dataclasses.replace(GOOD, **change), TrustConfig())  # type: ignore[arg-type]
    assert verdict.status == status
    assert len(verdict.reasons) == 1
    assert word in verdict.reasons[0]


def test_a_failure_outweighs_a_doubt() -> None:
    evidence = dataclasses.replace(GOOD, masked=0.7, overlap=0.05)
    verdict = judge(evidence, TrustConfig())
    assert verdict.status == "fail"
    assert verdict.reasons == ("The CT covers only 5% of the image.",)


def test_all_doubts_are_told() -> None:
    evidence = dataclasses.replace(GOOD, masked=0.7, overlap=0.2, remaining_gain=0.05)
    verdict = judge(evidence, TrustConfig())
    assert verdict.status == "check"
    assert len(verdict.reasons) == 3


def test_the_limits_are_settings() -> None:
    strict = TrustConfig(overlap=(0.95, 0.85))
    assert judge(dataclasses.replace(GOOD, overlap=0.8), strict).status == "fail"
    assert judge(dataclasses.replace(GOOD, overlap=0.9), strict).status == "check"
    assert judge(dataclasses.replace(GOOD, overlap=0.95), strict).status == "pass"


def test_edges_that_agree_speak_for_an_image_that_is_unlike() -> None:
    with_a_tool = dataclasses.replace(GOOD, similarity_end=0.6, gradient_agreement=0.99)
    assert judge(with_a_tool, TrustConfig()).status == "pass"
    assert not looks_wrong(0.6, 0.99, TrustConfig())
    assert not looks_wrong(0.8, 0.5, TrustConfig())
    assert looks_wrong(0.6, 0.97, TrustConfig())


def test_what_is_not_a_number_never_passes() -> None:
    for name in ("overlap", "masked", "disagreement_mm", "gradient_agreement", "similarity_end"):
        spoilt = dataclasses.replace(GOOD, **{"similarity_end": 0.5, name: float("nan")})  # type: ignore[arg-type]
        assert judge(spoilt, TrustConfig()).status == "fail", name
    unknown = judge(dataclasses.replace(GOOD, depth_deviation_mm=float("nan")), TrustConfig())
    assert unknown.status == "check"
    assert "cannot be told with this measure" in unknown.reasons[0]
