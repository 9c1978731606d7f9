"""What X-rays find one by one, as a sentence; the search itself is stood in for."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.geometry.rigid import twist_between
from wsreg.registration import alone as module
from wsreg.registration.alone import found_alone, joined
from wsreg.registration.clock import Clock
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.readings import Reading
from wsreg.registration.strategy import Answer


@pytest.fixture(name="named", scope="module")
def _named(pair: Problem) -> Problem:
    """Two X-rays with names."""
    views = [
        dataclasses.replace(view, radiograph=dataclasses.replace(view.radiograph, name=name))
        for view, name in zip(pair.views, ("ap", "lateral"), strict=True)
    ]
    return dataclasses.replace(pair, views=tuple(views))


def said(
    monkeypatch: pytest.MonkeyPatch, problem: Problem, states: list[Tensor], lost: list[bool]
) -> str:
    """The sentence, if the searches end at these states."""
    reading, asked = reading_of(problem), list[Problem]()

    def solve(one: Problem, own: list[Level], *_: Any) -> Answer:
        number = len(asked)
        asked.append(one)
        assert one.views == (problem.views[number],)
        assert one.init == "search"
        assert not one.settings.search.mirrored
        assert [level.views for level in own] == [
            (level.views[number],) for level in reading.levels
        ]
        return answered(Reading(problem=one, levels=own), states[number])

    def is_lost(own: Reading, state: Tensor) -> bool:
        assert own.problem is asked[-1]
        return lost[len(asked) - 1]

    monkeypatch.setattr(module, "solve", solve)
    monkeypatch.setattr(module, "is_lost", is_lost)
    found = found_alone(reading, Clock())
    assert len(asked) == len(problem.views)
    fitting = [state for state, is_out in zip(states, lost, strict=True) if not is_out]
    assert len(found.states) == len(fitting)
    assert all(map(torch.equal, found.states, fitting))
    return found.sentence


def moved(state: Tensor, shift_mm: float, body: int = 0) -> Tensor:
    there = state.clone()
    there[body, 0, 3] += shift_mm
    return there


def reading_of(problem: Problem) -> Reading:
    return Reading(problem=problem, levels=make_levels(problem))


def answered(
    reading: Reading,
    state: Tensor,
    rivals: tuple[Tensor, ...] = (),
    iterations: int = 0,
    renders: int = 0,
    starts: int = 0,
) -> Answer:
    others = torch.stack(rivals) if rivals else state[None][:0]
    return Answer(
        reading=reading, state=state, iterations=iterations, renders=renders, rivals=others,
        starts=starts,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        ([True, True], ""),
        ([True, False], "Alone lateral fits the CT, and ap does not."),
        ([False, True], "Alone ap fits the CT, and lateral does not."),
    ],
)
def test_the_xray_that_fits_is_named(
    monkeypatch: pytest.MonkeyPatch, named: Problem, true_state: Tensor, lost: list[bool],
    sentence: str,
) -> None:  # fmt: skip
    assert said(monkeypatch, named, [true_state, true_state], lost) == sentence


def test_several_are_named_together(
    monkeypatch: pytest.MonkeyPatch, named: Problem, true_state: Tensor
) -> None:
    third = dataclasses.replace(named.views[1].radiograph, name="oblique")
    three = dataclasses.replace(
        named, views=(*named.views, dataclasses.replace(named.views[1], radiograph=third))
    )
    states = [true_state] * 3
    assert said(monkeypatch, three, states, [False, False, True]) == (
        "Alone ap and lateral fit the CT, and oblique does not."
    )
    assert said(monkeypatch, three, states, [True, False, True]) == (
        "Alone lateral fits the CT, and ap and oblique do not."
    )


def test_where_both_fit_it_matters_how_far_apart(
    monkeypatch: pytest.MonkeyPatch, named: Problem, true_state: Tensor
) -> None:
    """From 5 mm on; that of the first body, whatever the others do."""
    states = [true_state, moved(true_state, 12.0)]
    assert said(monkeypatch, named, states, [False, False]) == (
        "Alone each X-ray fits the CT, but 12 mm apart: the rig does not hold, or the patient has "
        "moved between them."
    )
    near = [true_state, moved(moved(true_state, 4.9), 50.0, body=1)]
    assert said(monkeypatch, named, near, [False, False]) == ""


def test_what_one_view_finds_leads_to_the_answer_of_all(pair: Problem, true_state: Tensor) -> None:
    """As near as the level's images tell, which are averaged once more than the X-rays."""
    reading = reading_of(pair)
    near = moved(moved(true_state, 3.0), 3.0, body=1)
    before = answered(reading, near)
    found = joined(near[None], before, Clock())
    assert found is not None
    for body, state, truth in zip(pair.bodies, found.state, true_state, strict=True):
        error = twist_between(truth, state, body.pivot_mm).abs()
        assert float(error[:3].max()) < 0.01
        assert float(error[3:].max()) < 0.3
    assert joined(near[None], found, Clock()) is None  # not better than itself
    assert joined(near[None][:0], before, Clock()) is None


def test_an_answer_nearly_as_good_is_a_rival_of_the_better_one(
    pair: Problem, true_state: Tensor
) -> None:
    """The one before and its own rivals; what they took is counted."""
    reading = reading_of(pair)
    near = moved(moved(true_state, 3.0), 3.0, body=1)
    far = joined(near[None], answered(reading, near), Clock())
    assert far is not None
    assert len(far.rivals) == 0  # 3 mm away the loss is more than twice as high
    best = far.state
    beside = moved(moved(best, 0.02), 0.02, body=1)
    before = answered(reading, beside, rivals=(near, beside), iterations=100, renders=200, starts=2)
    found = joined(near[None], before, Clock())
    assert found is not None
    assert torch.equal(found.state, best)
    assert torch.equal(found.rivals, torch.stack((beside, beside)))
    assert (found.iterations, found.renders) == (100 + far.iterations, 200 + far.renders)
    assert found.starts == 3  # those of the one before, and itself
