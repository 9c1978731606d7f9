"""The trace of a registration: its ends are known, and nothing else changes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.optimisation.adam import AdamConfig
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.clock import Clock
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.recorder import Recorder
from wsreg.registration.regions import by_image
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult
from wsreg.registration.solver import solve
from wsreg.registration.starts.rois import brought_near
from wsreg.registration.strategy import descents_from
from wsreg.registration.trace import stage_of, traced
from wsreg.registration.verdict.evaluation import evaluate
from wsreg.volumes.volume import Volume


@pytest.fixture(name="beside", scope="module")
def _beside(phantom: Volume, truth: Tensor) -> Tensor:
    step = torch.tensor([0.05, -0.06, 0.05, -12.0, 10.0, 25.0], dtype=torch.float64)
    return perturb(truth, step, phantom.centre_mm)


@pytest.fixture(name="apart", scope="module")
def _apart(quick: RegistrationConfig) -> RegistrationConfig:
    """Bodies move together at the first level only."""
    first, *others = quick.levels
    return dataclasses.replace(quick, levels=(dataclasses.replace(first, apart=False), *others))


@pytest.fixture(name="found", scope="module")
def _found(
    radiograph: Radiograph, phantom: Volume, beside: Tensor, apart: RegistrationConfig
) -> RegistrationResult:
    return register(radiograph, phantom, init=beside, config=apart, trace=True)


def test_it_leads_from_the_start_to_the_answer(found: RegistrationResult, beside: Tensor) -> None:
    first, *_, last = found.trace
    torch.testing.assert_close(first.camera_from_ct[0], beside)
    assert len(last.camera_from_ct) == len(found.bodies) > 1
    for pose, body in zip(last.camera_from_ct, found.bodies.values(), strict=True):
        assert torch.equal(pose, body.camera_from_ct)
    assert first.similarity == pytest.approx(found.similarity_start)
    assert last.similarity == pytest.approx(found.similarity_end)
    assert torch.equal(last.moving[0], found.comparison.moving_end)
    assert torch.equal(first.moving[0], found.comparison.moving_start)


def test_levels_follow_each_other_and_no_step_within_one_climbs(found: RegistrationResult) -> None:
    assert {step.level for step in found.trace if step.stage == "image"} == {1, 2, 3}
    assert {step.stage for step in found.trace} <= {"start", "image"}
    inside = [step for step in found.trace if step.stage == "image"]
    for before, after in itertools.pairwise(inside):
        if after.iteration == 0:
            assert after.level >= before.level
            assert after.accepted
            continue
        assert after.iteration == before.iteration + 1
        assert after.loss <= before.loss
        same = torch.equal(after.camera_from_ct, before.camera_from_ct)
        assert same != after.accepted
        assert after.damping > 0
    assert found.seconds["trace"] > 0


def test_it_changes_nothing_and_is_not_there_unasked(
    found: RegistrationResult,
    radiograph: Radiograph,
    phantom: Volume,
    beside: Tensor,
    apart: RegistrationConfig,
) -> None:
    again = register(radiograph, phantom, init=beside, config=apart)
    assert again.trace == ()
    assert torch.equal(again.camera_from_ct, found.camera_from_ct)
    assert "trace" not in again.seconds
    assert settings_of(again) == settings_of(found)


def settings_of(result: RegistrationResult) -> dict[str, Any]:
    return {name: value for name, value in result.config.items() if name != "evidence"}


def test_adam_is_traced_to_its_best_state(
    radiograph: Radiograph, phantom: Volume, beside: Tensor, quick: RegistrationConfig
) -> None:
    config = dataclasses.replace(quick, method="adam", adam=AdamConfig(steps=12))
    found = register(radiograph, phantom, init=beside, config=config, trace=True)
    losses = [step.loss for step in found.trace]
    assert losses[-1] == min(losses) < losses[0]
    assert [step.iteration for step in found.trace] == list(range(len(losses)))
    assert torch.equal(found.trace[-1].camera_from_ct[0], found.camera_from_ct)
    assert all(math.isnan(step.damping) for step in found.trace)


def test_two_views_with_regions_have_dice_and_pictures_of_each(pair: Problem) -> None:
    problem = dataclasses.replace(pair, recorder=Recorder())
    levels = make_levels(problem)
    answer = solve(problem, levels, Clock(), lambda stage, done, total: None)
    first, *_, last = traced(problem, levels[-1], answer.state)
    assert first.camera_from_ct.shape == (2, 4, 4)
    assert len(last.moving) == 2
    assert set(last.roi_dice) == {"pelvis", "femurs"}
    assert last.roi_dice["pelvis"] > first.roi_dice["pelvis"]
    assert last.roi_dice["pelvis"] > 0.95
    assert last.similarity == min(
        evaluate(levels[-1], answer.state, derivatives=False).similarities
    )
    assert torch.equal(last.camera_from_ct, answer.state)


def test_regions_that_brought_the_start_near_are_part_of_the_way(pair: Problem) -> None:
    problem = dataclasses.replace(pair, recorder=Recorder())
    (level,) = make_levels(problem)
    near = brought_near(problem, level, problem.start[None])
    assert near is not None
    moved_by_nothing = level.move(near, torch.zeros(1, 12, dtype=torch.float64))
    (alone,) = by_image([level])
    found = descents_from(problem, alone, moved_by_nothing)
    steps = traced(problem, level, found.states[0])
    stages = [step.stage for step in steps]
    assert list(dict.fromkeys(stages)) == ["ROIs", "image"]
    torch.testing.assert_close(steps[0].camera_from_ct, problem.start)
    assert steps[stages.index("image")].roi_dice["pelvis"] > steps[0].roi_dice["pelvis"]


def test_a_stage_is_named_by_what_is_minimised(pair: Problem) -> None:
    (level,) = make_levels(pair)
    alone = level.with_rois_alone(pair.settings.roi_approach)
    assert alone is not None
    assert stage_of(level) == "image and ROIs"
    assert stage_of(alone) == "ROIs"


def test_an_answer_that_no_descent_ended_at_still_ends_the_trace(
    pair: Problem, true_state: Tensor
) -> None:
    (level,) = make_levels(pair)
    first, last = traced(dataclasses.replace(pair, recorder=Recorder()), level, true_state)
    assert (first.stage, last.stage) == ("start", "answer")
    assert torch.equal(last.camera_from_ct, true_state)
    assert last.similarity > 0.9
    assert traced(pair, level, true_state) == ()


def test_a_start_that_is_kept_is_the_whole_trace(pair: Problem) -> None:
    (level,) = make_levels(pair)
    (only,) = traced(dataclasses.replace(pair, recorder=Recorder()), level, pair.start)
    assert only.stage == "start"


def test_a_search_is_traced_from_the_view_that_was_named(
    radiograph: Radiograph, phantom: Volume, camera: Camera, quick: RegistrationConfig
) -> None:
    found = register(radiograph, phantom, camera, "search", bodies=None, config=quick, trace=True)
    first, second, *_, last = found.trace
    assert (first.stage, second.stage) == ("start", "image")
    torch.testing.assert_close(first.camera_from_ct[0], found.start_camera_from_ct)
    assert not torch.equal(first.camera_from_ct, second.camera_from_ct)
    assert torch.equal(last.camera_from_ct[0], found.camera_from_ct)
