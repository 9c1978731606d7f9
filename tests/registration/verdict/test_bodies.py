"""Verdicts on bodies: each sentence, and the numbers behind them, known by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.geometry.rigid import exp_so3, perturb, rigid
from wsreg.registration.bodies import Body
from wsreg.registration.joints import Joint
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.ties import Tie
from wsreg.registration.verdict.bodies import (
    BodyEvidence,
    _seen,
    body_points,
    judge_body,
    shown_fraction,
)
from wsreg.registration.verdict.config import TrustConfig
from wsreg.volumes.parts import CtPart

GOOD = BodyEvidence(
    shown=0.9,
    rotation_deviation_deg=0.4,
    turned_deg=7.04,
    moved_mm=0.36,
    strain=0.8,
    joint=True,
)
BONES = CtPart(kind="bones", groups=((9,),))


def step(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_good_evidence_passes_with_how_it_moved() -> None:
    verdict = judge_body(GOOD, "pelvis", "pass", TrustConfig())
    assert verdict.status == "pass"
    assert verdict.reasons == (
        "It has turned 7.0 deg and moved 0.4 mm against the pelvis since the CT.",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shown": 0.04}, "The X-ray shows 4% of it: it stays with the pelvis."),
        ({"shown": 0.0}, "The X-ray shows 0% of it: it stays with the pelvis."),
        (
            {"rotation_deviation_deg": 3.1},
            "How it is turned is known only to 3.1 deg (one sigma).",
        ),
        (
            {"rotation_deviation_deg": math.nan},
            "How it is turned is known only to nan deg (one sigma).",
        ),
        (
            {"strain": 4.1, "turned_deg": 36.4, "moved_mm": 2.0},
            "It has turned 36 deg and moved 2.0 mm against the pelvis, more than assumed.",
        ),
        ({"joint": False}, "The labels show no joint between it and the pelvis."),
        # How a body is turned that is not seen needs no second sentence.
        (
            {"shown": 0.04, "rotation_deviation_deg": 8.0},
            "The X-ray shows 4% of it: it stays with the pelvis.",
        ),
    ],
)
def test_each_doubt_is_a_sentence(change: dict[str, Any], said: str) -> None:
    verdict = judge_body(dataclasses.replace(GOOD, **change), "pelvis", "pass", TrustConfig())
    assert verdict.status == "check"
    assert verdict.reasons == (said,)


@pytest.mark.parametrize("status", ["check", "fail"])
def test_no_body_is_better_known_than_its_parent(status: Any) -> None:
    verdict = judge_body(GOOD, "pelvis", status, TrustConfig())
    assert verdict.status == status
    assert verdict.reasons == (f"It is no better known than the pelvis, which is {status}.",)
    doubtful = judge_body(dataclasses.replace(GOOD, joint=False), "pelvis", status, TrustConfig())
    assert doubtful.status == status
    assert len(doubtful.reasons) == 2


def test_the_limits_are_settings() -> None:
    strict = TrustConfig(shown=0.95, body_rotation_deg=0.3, strain=0.5)
    assert len(judge_body(GOOD, "pelvis", "pass", strict).reasons) == 2
    seen = dataclasses.replace(GOOD, shown=0.95)
    assert judge_body(seen, "pelvis", "pass", strict).reasons[0].startswith("How it is turned")
    at_the_limits = dataclasses.replace(GOOD, shown=0.05, rotation_deviation_deg=3.0, strain=4.0)
    assert judge_body(at_the_limits, "pelvis", "pass", TrustConfig()).status == "pass"


def test_the_evidence_known_by_hand() -> None:
    """0.2 rad about z of 0.1, and 3 mm of 2: strained by two."""
    pivot = step(80.0, 0.0, -100.0)
    body = Body(
        name="femur",
        pivot_mm=pivot,
        part=BONES,
        labels=(9,),
        tie=Tie(rotation_rad=0.1, shift_mm=2.0),
        joint=Joint(centre_mm=pivot, radius_mm=24.0),
    )
    first = rigid(exp_so3(step(0.3, 0.2, -0.5)), step(5.0, 6.0, 700.0))
    pose = perturb(first, step(0.0, 0.0, -0.2, 3.0, 0.0, 0.0), pivot)
    deviation = step(0.01, 0.03, 0.02, 0.1, 0.4, 9.0)
    evidence = BodyEvidence.of(body, first, pose, deviation, 0.75)
    assert evidence.shown == 0.75
    assert evidence.rotation_deviation_deg == pytest.approx(math.degrees(0.03))
    assert evidence.turned_deg == pytest.approx(math.degrees(0.2))
    assert evidence.moved_mm == pytest.approx(3.0)
    assert evidence.strain == pytest.approx(2.0)
    assert evidence.joint
    free = dataclasses.replace(body, tie=None, joint=None)
    other = BodyEvidence.of(free, first, pose, deviation, 0.75)
    assert other.strain == 0.0
    assert not other.joint
    rest = dataclasses.replace(free, part=CtPart(kind="rest", groups=((9,),)))
    assert BodyEvidence.of(rest, first, pose, deviation, 0.75).joint  # it needs none


def test_what_valid_pixels_see() -> None:
    """Of six points one is masked, one right of the image, one above, one behind the source."""
    pixels = torch.tensor(
        [[0.4, 0.0], [1.6, 0.2], [2.0, 1.0], [3.0, 0.0], [1.0, -0.6], [torch.nan, torch.nan]],
        dtype=torch.float64,
    )
    weight = step(1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert _seen(pixels, weight, mask) == pytest.approx(3.0 / 63.0)
    assert _seen(pixels, weight, torch.zeros_like(mask)) == 0.0


def test_points_of_a_body_are_where_it_attenuates(pair: Problem) -> None:
    pelvis, femurs = pair.bodies
    points, weight = body_points(pair, femurs)
    assert points.shape == (len(weight), 3)
    assert bool((weight > 0).all())
    # The femurs are lower than the pelvis, and further out.
    others, _ = body_points(pair, pelvis)
    assert float(points[:, 2].max()) < float(others[:, 2].max()) - 30.0
    assert float(points[:, 0].abs().min()) > 40.0
    # All of the mass, or an even sample of it.
    volume = pair.ct.levels((8.0,), femurs.part)[0].volume
    assert float(weight.sum()) == pytest.approx(float((volume.hu + 1000).clamp_min(0).sum()))


def test_the_view_that_shows_most_counts(pair: Problem, true_state: Tensor) -> None:
    level = make_levels(pair)[0]
    body, pose = pair.bodies[1], true_state[1]
    shown = shown_fraction(pair, level, body, pose)
    assert shown > 0.5
    blind = dataclasses.replace(level.views[0], mask=torch.zeros_like(level.views[0].mask))
    alone = [
        shown_fraction(pair, dataclasses.replace(level, views=(view,)), body, pose)
        for view in level.views
    ]
    assert shown == max(alone)
    one_blind = dataclasses.replace(level, views=(blind, level.views[1]))
    assert shown_fraction(pair, one_blind, body, pose) == alone[1]
    none = dataclasses.replace(level, views=(blind,))
    assert shown_fraction(pair, none, body, pose) == 0.0
    # Moved out of the image of either view it is not seen.
    away = pose.clone()
    away[1, 3] += 2000.0
    assert shown_fraction(pair, level, body, away) == 0.0
    behind = pose.clone()
    behind[2, 3] -= 5000.0
    first = dataclasses.replace(level, views=level.views[:1])
    assert shown_fraction(pair, first, body, behind) == 0.0
