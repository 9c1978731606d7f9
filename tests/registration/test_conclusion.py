"""What a result says of its answer: deviations in the camera's axes, outlines of each body."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.rigid import exp_so3, rigid
from wsreg.registration.clock import Clock
from wsreg.registration.conclusion import conclude
from wsreg.registration.config import LEVELS
from wsreg.registration.judged import elsewhere_mm, rivals_as_judged
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.readings import Reading
from wsreg.registration.result import RegistrationResult
from wsreg.registration.states import moved_together
from wsreg.registration.strategy import Answer
from wsreg.registration.ties import Tie
from wsreg.segmentation.rendered import rendered_rois
from wsreg.similarity.measure import Measure
from wsreg.similarity.measures import MEASURES
from wsreg.similarity.psnr import Psnr
from wsreg.volumes.parts import CtPart
from wsreg.volumes.volume import Volume


def concluded(problem: Problem, state: Tensor) -> RegistrationResult:
    reading = Reading(problem=problem, levels=make_levels(problem))
    return conclude(answered(reading, state), Clock(), "as read")


def answered(reading: Reading, state: Tensor) -> Answer:
    return Answer(
        reading=reading, state=state, iterations=0, renders=0, rivals=state[None][:0], starts=0
    )


def without_rois(problem: Problem, count: int) -> Problem:
    """The first view alone, so many times, with the first body."""
    view = dataclasses.replace(problem.views[0], rois=None)
    return dataclasses.replace(
        problem, views=(view,) * count, bodies=problem.bodies[:1], start=problem.start[:1]
    )


def test_more_views_make_surer(pair: Problem, true_state: Tensor) -> None:
    one, four = (concluded(without_rois(pair, n), true_state[:1]) for n in (1, 4))
    torch.testing.assert_close(
        four.standard_deviation, 0.5 * one.standard_deviation, rtol=0.05, atol=0
    )


def test_deviations_are_about_the_cameras_axes_wherever_the_rig_has_its_own(
    pair: Problem, true_state: Tensor
) -> None:
    plain = without_rois(pair, 1)
    quarter = exp_so3(torch.tensor([0.0, torch.pi / 2, 0.0], dtype=torch.float64))
    camera_from_rig = rigid(quarter, torch.tensor([5.0, 6.0, 7.0], dtype=torch.float64))
    turned = dataclasses.replace(
        plain,
        views=(dataclasses.replace(plain.views[0], camera_from_rig=camera_from_rig),),
        start=torch.linalg.inv(camera_from_rig) @ plain.start,
    )
    expected = concluded(plain, true_state[:1])
    found = concluded(turned, torch.linalg.inv(camera_from_rig) @ true_state[:1])
    torch.testing.assert_close(found.camera_from_ct, expected.camera_from_ct)
    torch.testing.assert_close(
        found.standard_deviation, expected.standard_deviation, rtol=1e-3, atol=0
    )
    assert int(found.standard_deviation[3:].argmax()) == 2


def test_outlines_are_those_of_each_body_at_its_own_pose(
    pair: Problem, true_state: Tensor, coarse: Volume
) -> None:
    apart = true_state.clone()
    apart[1, 0, 3] += 40.0
    result = concluded(dataclasses.replace(pair, start=apart), apart)
    assert pair.views[0].rois is not None
    femurs = pair.views[0].rois.labels[1]
    shown = result.comparison.rois_end[1] > 4.0
    where = rendered_rois(coarse, pair.views[0].camera, apart[1:], [femurs])[0, 0] > 0.5
    beside = rendered_rois(coarse, pair.views[0].camera, apart[:1], [femurs])[0, 0] > 0.5
    assert int((shown & where).sum()) > 0.9 * int(where.sum())
    assert int((shown & beside).sum()) < 0.7 * int(beside.sum())


def test_every_body_has_its_own_verdict(pair: Problem, true_state: Tensor) -> None:
    """The first one's is that of the whole; the other moved as its tie does not expect."""
    pelvis, femurs = pair.bodies
    tied = dataclasses.replace(
        femurs, tie=Tie(rotation_rad=0.01, shift_mm=1.0), part=CtPart(kind="bones", groups=((9,),))
    )
    found = concluded(dataclasses.replace(pair, bodies=(pelvis, tied)), true_state)
    assert list(found.bodies) == ["pelvis", "femurs"]
    assert found.bodies["pelvis"].verdict is found.verdict
    verdict = found.bodies["femurs"].verdict
    assert verdict.status != "pass"
    # sqrt(0.06^2 + 0.03^2) rad and sqrt(2^2 + 1) mm
    assert (
        "It has turned 4 deg and moved 2.2 mm against the pelvis, more than assumed."
        in verdict.reasons
    )
    assert "The labels show no joint between it and the pelvis." in verdict.reasons
    assert found.config["evidence"]["shown"] == found.bodies["pelvis"].shown
    assert 0.5 < found.bodies["femurs"].shown <= 1.0
    torch.testing.assert_close(found.bodies["femurs"].camera_from_ct, true_state[1])


def compared_by(problem: Problem, measure: Measure) -> Problem:
    levels = tuple(dataclasses.replace(level, measure=measure) for level in problem.settings.levels)
    settings = dataclasses.replace(problem.settings, levels=levels, method="adam")
    return dataclasses.replace(problem, settings=settings)


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "multiscale-ncc"])
def test_an_answer_is_judged_by_the_default_measure_whatever_was_minimised(
    pair: Problem, true_state: Tensor, name: str
) -> None:
    """Deviations and what tells right from wrong are the same; so small an image is no proof."""
    wrong = moved_together(
        true_state[:1], torch.tensor([[0.3, 0.2, -0.3, 20.0, -20.0, 0.0]]).double(),
        pair.bodies[0].pivot_mm,
    )[0]  # fmt: skip
    for state, status in ((true_state[:1], "check"), (wrong, "fail")):
        plain = dataclasses.replace(without_rois(pair, 1), start=state)
        as_ever = concluded(compared_by(plain, LEVELS[0].measure), state)
        found = concluded(compared_by(plain, MEASURES[name]()), state)
        assert found.verdict.status == as_ever.verdict.status == status, found.verdict
        torch.testing.assert_close(found.standard_deviation, as_ever.standard_deviation)
        steepness = [one.config["evidence"]["steepness"] for one in (found, as_ever)]
        assert steepness[0] == steepness[1]
        # What is told of the similarity is of the measure that was used.
        shown = found.comparison
        measured = MEASURES[name]().prepare(shown.fixed, shown.mask)
        expected = float(measured.similarity(shown.moving_end[None])[0])
        assert found.similarity_end == pytest.approx(expected, abs=1e-5)
        assert found.similarity_end != pytest.approx(as_ever.similarity_end, abs=1e-3)


def test_rivals_rival_by_the_default_measure_too(pair: Problem, true_state: Tensor) -> None:
    """By PSNR a pose beside the answer has a loss of nearly the same size; NCC tells them apart."""
    beside = moved_together(
        true_state[:1], torch.tensor([[0.0, 0.0, 0.0, 8.0, 0.0, 0.0]]).double(),
        pair.bodies[0].pivot_mm,
    )  # fmt: skip
    problem = compared_by(without_rois(pair, 1), Psnr())
    for rivals, count in ((beside, 0), (true_state[None, :1], 1)):
        reading = Reading(problem=problem, levels=make_levels(problem))
        answer = dataclasses.replace(answered(reading, true_state[:1]), rivals=rivals, starts=1)
        assert len(rivals_as_judged(answer)) == count
        assert conclude(answer, Clock(), "as read").config["evidence"]["rivals"] == count
        default = compared_by(problem, LEVELS[0].measure)
        as_found = dataclasses.replace(
            answer, reading=Reading(problem=default, levels=make_levels(default))
        )
        assert len(rivals_as_judged(as_found)) == 1


def test_an_answer_that_the_default_measure_would_have_elsewhere_is_doubted(
    pair: Problem, true_state: Tensor
) -> None:
    """From 10 mm beside the truth it leads back; the truth itself it leaves where it is."""
    beside = moved_together(
        true_state, torch.tensor([[0.0, 0.0, 0.0, 10.0, 0.0, 0.0]]).double(),
        pair.bodies[0].pivot_mm,
    )[0]  # fmt: skip
    plain = dataclasses.replace(pair, views=(dataclasses.replace(pair.views[0], rois=None),))
    found = {}
    for name, state in (("truth", true_state), ("beside", beside)):
        problem = compared_by(dataclasses.replace(plain, start=state), Psnr())
        reading = Reading(problem=problem, levels=make_levels(problem))
        found[name] = elsewhere_mm(answered(reading, state))
        verdict = concluded(problem, state).verdict
        told = any("By the default similarity" in reason for reason in verdict.reasons)
        assert told == (name == "beside"), verdict
    assert found["truth"] is not None
    assert found["truth"] < 2.0
    assert found["beside"] == pytest.approx(10.0, abs=3.0)
    as_ever = Reading(problem=plain, levels=make_levels(plain))
    assert elsewhere_mm(answered(as_ever, beside)) is None


def test_doubts_of_the_problem_reach_the_verdict(pair: Problem, true_state: Tensor) -> None:
    doubtful = dataclasses.replace(without_rois(pair, 1), doubts=("The labels look wrong.",))
    verdict = concluded(doubtful, true_state[:1]).verdict
    assert verdict.status == "check"
    assert "The labels look wrong." in verdict.reasons


def test_views_of_one_direction_are_told_and_others_are_compared(
    pair: Problem, true_state: Tensor
) -> None:
    plain = without_rois(pair, 1)
    one, same = (concluded(without_rois(pair, n), true_state[:1]) for n in (1, 2))
    apart = dataclasses.replace(plain, views=(plain.views[0], pair.views[1]))
    both = concluded(apart, true_state[:1])
    three = dataclasses.replace(plain, views=(*plain.views, *apart.views))
    among = concluded(three, true_state[:1])
    evidence = [found.config["evidence"] for found in (one, same, both, among)]
    assert [each["parallel"] for each in evidence] == [False, True, False, False]
    assert evidence[0]["contradiction_mm"] is None
    assert evidence[0]["contradicting"] == ""
    assert evidence[1]["contradicting"] == plain.views[0].radiograph.name
    assert -1.0 < evidence[2]["contradiction_mm"] < 0.3  # all of it may be noise, and less


def test_views_are_not_compared_where_there_is_no_model(
    pair: Problem, true_state: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Level, "least_squares", False)
    plain = without_rois(pair, 2)
    found = concluded(plain, true_state[:1])
    assert found.config["evidence"]["contradiction_mm"] is None
    assert found.config["evidence"]["contradicting"] == ""
    assert found.verdict.status == "check"
    assert any("cannot be told with this measure" in one for one in found.verdict.reasons)


HALF_TURN = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
OPPOSITE = torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64))


def from_behind(problem: Problem, state: Tensor) -> Tensor:
    """The state seen from the opposite side, its pivot where it was."""
    pivot = problem.bodies[0].pivot_mm
    centre = state[0, :3, :3] @ pivot + state[0, :3, 3]
    turn = OPPOSITE @ state[0, :3, :3]
    return rigid(turn, centre - turn @ pivot)[None]


@pytest.mark.parametrize(
    ("mirrored", "turned", "orientation"),
    [
        (False, False, "none"), (False, True, "half turn"),
        (True, False, "mirrored"), (True, True, "mirrored, half turn"),
    ],
)  # fmt: skip
def test_how_a_single_xray_lies_is_told(
    pair: Problem, true_state: Tensor, mirrored: bool, turned: bool, orientation: str
) -> None:
    problem = without_rois(pair, 1)
    if turned:  # the view asked for is upside down against the answer
        problem = dataclasses.replace(problem, start=HALF_TURN @ problem.start)
    reading = Reading(problem=problem, levels=make_levels(problem), mirrored=mirrored)
    answer = dataclasses.replace(answered(reading, true_state[:1]), other_reading=1.7)
    found = conclude(answer, Clock(), "as read")
    assert [view.orientation for view in found.views] == [orientation]
    evidence = found.config["evidence"]
    assert (evidence["orientation"], evidence["other_view"]) == (orientation, "")
    assert evidence["other_reading"] == 1.7
    two = without_rois(pair, 2)
    reading = Reading(problem=two, levels=make_levels(two), mirrored=mirrored)
    both = conclude(answered(reading, true_state[:1]), Clock(), "as read")
    assert [view.orientation for view in both.views] == ["none", "none"]


@pytest.mark.parametrize(
    ("init", "view", "named"),
    [
        ("search", "PA", ""), ("search", "ap", "PA"), ("search", "LAT", "PA"),
        ("search", "rlat", "PA"), ("pose", "PA", "the other side"),
        ("dicom", "PA", "the other side"),
        ("search", CArmAngles(primary_rad=0.1, secondary_rad=0.2), "the other side"),
    ],
)  # fmt: skip
def test_the_other_view_is_named_where_a_view_was(
    pair: Problem, true_state: Tensor, init: str, view: str | CArmAngles, named: str
) -> None:
    """The answer is seen from behind, PA; the view after a given start says nothing of it."""
    plain = without_rois(pair, 1)
    start = from_behind(plain, plain.start)
    problem = dataclasses.replace(plain, init=init, view=view, start=start)
    found = concluded(problem, true_state[:1])
    assert found.config["evidence"]["other_view"] == named
    assert found.views[0].orientation == "none"


def test_what_the_ct_does_not_cover_is_no_overlap(pair: Problem, true_state: Tensor) -> None:
    """Half of the columns; what is left is overlapped as before, or more."""
    plain = without_rois(pair, 1)
    whole = concluded(plain, true_state[:1]).config["evidence"]["views"][0]
    covered = torch.ones(28, 32, dtype=torch.bool)
    covered[:, 16:] = False
    view = dataclasses.replace(plain.views[0], covered=covered)
    part = concluded(dataclasses.replace(plain, views=(view,)), true_state[:1])
    (evidence,) = part.config["evidence"]["views"]
    assert whole["coverage"] == 1.0
    assert evidence["coverage"] == 0.5
    assert evidence["overlap"] <= 0.5
    assert evidence["overlap"] == pytest.approx(0.5 * whole["overlap"], rel=0.3)
    assert evidence["masked"] == 0.0
