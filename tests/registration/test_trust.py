"""Verdicts and standard deviations."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from wsreg.registration.trust import (
    PIXELS_PER_RESIDUAL,
    Evidence,
    TrustConfig,
    judge,
    regional_similarity,
    remaining_gain,
    standard_deviation,
)
from wsreg.similarity.linearization import Linearization

GOOD = Evidence(
    similarity_start=0.2,
    similarity_end=0.5,
    regional_similarity=0.8,
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
        "The similarity rose from 0.200 to 0.500.",
        "None of 4 other starts ended elsewhere as similar.",
    )


def test_regions_of_interest_speak_for_an_answer_and_may_cost_a_little_similarity() -> None:
    evidence = dataclasses.replace(GOOD, roi_dice={"a": 0.9, "b": 0.8}, similarity_end=0.195)
    verdict = judge(evidence, TrustConfig())
    assert verdict.status == "pass"
    assert verdict.reasons[-1] == "The regions of interest have a mean Dice of 0.85."


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"similarity_end": 0.1}, "fail", "less similar than its start"),
        ({"regional_similarity": 0.65}, "check", "regions is only 0.65"),
        ({"regional_similarity": 0.3}, "fail", "regions is only 0.30"),
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
        ({"roi_dice": {"a": 0.9}, "similarity_end": 0.18}, "fail", "less similar than its start"),
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


def diagonal(curvature: list[float], value: float) -> Linearization:
    return Linearization(
        value=torch.tensor(value, dtype=torch.float64),
        gradient=torch.zeros(6, dtype=torch.float64),
        normal_matrix=torch.diag(torch.tensor(curvature, dtype=torch.float64)),
    )


def test_standard_deviations_are_those_of_least_squares() -> None:
    linear = diagonal([1.0, 4.0, 1.0, 100.0, 1.0, 0.01], value=0.5)
    deviation = standard_deviation(linear, valid_pixels=int(106 * PIXELS_PER_RESIDUAL))
    # 2 loss / N = 1/100 over each curvature.
    expected = torch.tensor([0.1, 0.05, 0.1, 0.01, 0.1, 1.0], dtype=torch.float64)
    torch.testing.assert_close(deviation, expected, rtol=1e-6, atol=0)


def test_an_unseen_axis_is_uncertain_not_infinite() -> None:
    deviation = standard_deviation(diagonal([1.0] * 5 + [0.0], value=0.5), 1000)
    assert math.isfinite(float(deviation[5]))
    assert float(deviation[5]) > 1e3


def test_the_remaining_gain_is_what_a_newton_step_promises() -> None:
    linear = dataclasses.replace(
        diagonal([2.0] * 6, value=0.5), gradient=torch.ones(6, dtype=torch.float64)
    )
    assert remaining_gain(linear) == pytest.approx(6 * 0.25 / 0.5)


def test_regional_similarity_sees_what_moved() -> None:
    noise = torch.randn(1, 1, 76, 76, generator=torch.Generator().manual_seed(0))
    fixed = torch.nn.functional.avg_pool2d(noise, 5, 1)[0, 0]
    mask = torch.ones(72, 72, dtype=torch.bool)
    assert regional_similarity(fixed, mask, 3 * fixed + 1) > 0.95
    assert regional_similarity(fixed, mask, fixed.roll(12, 0)) < 0.3
