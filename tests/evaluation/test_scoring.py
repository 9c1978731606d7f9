"""Any method is scored by the same code, in order, and goes on where it was stopped."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation.journal import open_journal
from wsreg.evaluation.scoring import score
from wsreg.evaluation.summary import is_gross_failure
from wsreg.evaluation.trial import Trial
from wsreg.registration.result import RegistrationResult

SampleMaker = Callable[..., Sample]
ResultMaker = Callable[..., RegistrationResult]
Method = Callable[[Sample], RegistrationResult]


@pytest.fixture
def samples(make_sample: SampleMaker) -> list[Sample]:
    return [make_sample("A", "001"), make_sample("B", "000"), make_sample("A", "000")]


@pytest.fixture
def method(make_result: ResultMaker) -> Method:
    """Starts 20 mm off in depth; ends as many millimetres to the side as the projection says."""

    def answer(sample: Sample) -> RegistrationResult:
        pose, start = sample.camera_from_ct.clone(), sample.camera_from_ct.clone()
        pose[0, 3] += int(sample.projection)
        start[2, 3] += 20.0
        return make_result(sample, pose, start, verdict="check")

    return answer


def test_each_sample_is_scored_in_order(samples: list[Sample], method: Method) -> None:
    seen: list[Trial] = []
    trials = score(method, samples, progress=seen.append)
    assert [trial.key for trial in trials] == [("A", "001"), ("B", "000"), ("A", "000")]
    assert seen == trials
    first = trials[0]
    assert first.answered
    assert first.errors.mtre_3d_mm == pytest.approx(1.0)
    assert first.start_mtre_3d_mm == pytest.approx(20.0)
    assert (first.verdict, first.reasons) == ("check", ("Because.",))
    assert (first.similarity_start, first.similarity_end) == (0.25, 0.75)
    assert first.seconds >= 0.0
    pose = torch.tensor(first.camera_from_ct, dtype=torch.float64)
    assert torch.equal(pose, method(samples[0]).camera_from_ct)


def test_a_refusal_is_a_failure_and_not_a_gap(samples: list[Sample], method: Method) -> None:
    def picky(sample: Sample) -> RegistrationResult:
        if sample.specimen == "B":
            raise InputError("init must see the CT, got one that does not")
        return method(sample)

    trials = score(picky, samples)
    assert [trial.answered for trial in trials] == [True, False, True]
    refused = trials[1]
    assert refused.verdict == "fail"
    assert refused.reasons == ("init must see the CT, got one that does not",)
    assert all(math.isnan(value) for value in dataclasses.asdict(refused.errors).values())
    assert is_gross_failure(refused.errors)


def test_a_mistake_in_the_method_ends_the_run(samples: list[Sample]) -> None:
    def broken(sample: Sample) -> RegistrationResult:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        score(broken, samples)


def test_a_run_that_was_stopped_goes_on(
    samples: list[Sample], method: Method, tmp_path: Path
) -> None:
    path, calls = tmp_path / "journal.jsonl", []

    def counted(sample: Sample) -> RegistrationResult:
        calls.append(sample.name)
        if calls == ["A/001", "B/000"]:
            raise KeyboardInterrupt
        return method(sample)

    with pytest.raises(KeyboardInterrupt):
        score(counted, samples, journal=open_journal(path, {"method": "counted"}))
    trials = score(counted, samples, journal=open_journal(path, {"method": "counted"}))
    assert calls == ["A/001", "B/000", "B/000", "A/000"]
    assert [trial.key for trial in trials] == [("A", "001"), ("B", "000"), ("A", "000")]
    assert score(counted, samples, journal=open_journal(path, {"method": "counted"})) == trials
    assert len(calls) == 4


def test_a_sample_without_landmarks_cannot_be_scored(
    make_sample: SampleMaker, method: Method
) -> None:
    with pytest.raises(InputError, match="must have landmarks"):
        score(method, [make_sample(landmarks_mm={})])
