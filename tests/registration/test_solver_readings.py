"""Which reading of an X-ray is followed, as it came or mirrored, on landscapes made by hand."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
from tests.registration.landscapes import (
    Asked,
    Ground,
    LossOf,
    at,
    looked_up,
    place,
    seen,
    solved,
    started,
    towards,
)
from torch import Tensor

from wsreg.registration import paper_loop, solver
from wsreg.registration.readings import Reading

pytestmark = pytest.mark.usefixtures("half_a_loss_is_lost")


def two_readings(
    monkeypatch: pytest.MonkeyPatch, as_it_came: list[LossOf], mirrored: list[LossOf]
) -> tuple[list[Ground], list[Ground]]:
    """Let each reading have levels of its own, coarse to fine."""
    levels = [Ground(one) for one in as_it_came], [Ground(one) for one in mirrored]

    def readings_of(problem: Any, _: object) -> tuple[Reading, ...]:
        first, second = levels
        return (
            Reading(problem=problem, levels=first),  # type: ignore[arg-type]
            Reading(problem=problem, levels=second, mirrored=True),  # type: ignore[arg-type]
        )

    for module in (solver, paper_loop):
        monkeypatch.setattr(module, "readings_of", readings_of)
    return levels


@pytest.mark.parametrize("swapped", [False, True])
def test_a_reading_far_behind_at_the_coarsest_level_is_not_refined(
    monkeypatch: pytest.MonkeyPatch, swapped: bool
) -> None:
    """From 1.25 times the other's loss on; how far behind it was is said."""
    started(monkeypatch, search=[10.0])
    good, bad = [looked_up({10.0: 0.2}), looked_up({10.0: 0.1})], [looked_up({10.0: 0.26})] * 2
    levels = two_readings(monkeypatch, *((bad, good) if swapped else (good, bad)))
    found = solved(Asked(init="search"))
    assert found.reading.mirrored == swapped
    assert found.other_reading == pytest.approx(1.3)
    refined = [[level.refined for level in one] for one in levels]
    expected = [[[[10.0]], [[10.0]]], [[[10.0]], []]]
    if swapped:  # the near matches of the mirrored answer are looked at as the X-ray came
        expected = [[[[10.0], [-10.0] * 2], []], expected[0]]
    assert refined == expected
    assert found.renders == 3 + 2 * swapped


@pytest.mark.parametrize(("middle", "refined"), [(0.25, True), (0.26, False)])
def test_a_reading_that_falls_behind_at_the_middle_level_goes_no_further(
    monkeypatch: pytest.MonkeyPatch, middle: float, refined: bool
) -> None:
    """From 1.25 times the other's loss on, though it would fit better at the finest level."""
    started(monkeypatch, search=[10.0])
    first, second = two_readings(
        monkeypatch,
        [looked_up({10.0: one}) for one in (0.2, 0.2, 0.4)],
        [looked_up({10.0: one}) for one in (0.2, middle, 0.1)],
    )
    found = solved(Asked(init="search"))
    assert [level.refined[:1] for level in first] == [[[10.0]]] * 3
    assert [level.refined for level in second] == [[[10.0]], [[10.0]], [[10.0]] * refined]
    assert found.reading.mirrored == refined
    assert found.other_reading == pytest.approx(4.0 if refined else 1.3)
    assert found.renders == 5 + refined + 2 * refined  # two of near matches as it came


def test_readings_that_are_near_at_the_coarsest_level_are_told_by_the_finest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started(monkeypatch, search=[10.0])
    two_readings(
        monkeypatch,
        [looked_up({10.0: 0.2}), looked_up({10.0: 0.3})],
        [looked_up({10.0: 0.249}), looked_up({10.0: 0.1})],
    )
    found = solved(Asked(init="search"))
    assert found.reading.mirrored
    assert found.other_reading == pytest.approx(3.0)
    assert found.renders == 4 + 2


@pytest.mark.parametrize(("other", "times"), [(0.0, 1.0), (2e-9, 2.0), (9.0, 9e9)])
def test_images_that_are_the_same_leave_no_loss(
    monkeypatch: pytest.MonkeyPatch, other: float, times: float
) -> None:
    """At all levels, or at the finest; a loss counts no further than 1e-9."""
    started(monkeypatch, search=[10.0])
    for coarse in (0.0, 0.1):
        two_readings(
            monkeypatch,
            [looked_up({10.0: coarse}), looked_up({10.0: 0.0})],
            [looked_up({10.0: coarse}), looked_up({10.0: other})],
        )
        found = solved(Asked(init="search"))
        assert not found.reading.mirrored
        assert found.other_reading == pytest.approx(times)


def test_a_given_pose_is_not_mirrored_and_a_search_after_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started(monkeypatch, pose=[0.0], search=[10.0])
    fits = [looked_up({0.0: 0.4, 10.0: 0.4})] * 2
    better = [looked_up({0.0: 0.1, 10.0: 0.1})] * 2
    _, mirrored = two_readings(monkeypatch, fits, better)
    found = solved(Asked())
    assert not found.reading.mirrored
    assert found.other_reading is None
    assert mirrored[0].refined == []
    _, mirrored = two_readings(monkeypatch, [looked_up({0.0: 0.6, 10.0: 0.7})] * 2, better)
    found = solved(Asked())
    assert found.reading.mirrored
    assert place(found) == 10.0
    assert found.other_reading == pytest.approx(6.0)  # the pose's, which is as it came


def test_the_header_may_start_a_mirrored_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = started(monkeypatch, dicom=[0.0])
    two_readings(monkeypatch, [looked_up({0.0: 0.6})] * 2, [looked_up({0.0: 0.1})] * 2)
    assert solved(Asked(init="dicom")).reading.mirrored
    assert [name for name, _ in asked] == ["dicom", "dicom"]


def near_to(
    monkeypatch: pytest.MonkeyPatch, same: float, other: tuple[float, float]
) -> list[float]:
    """Let poses that show nearly the same lie so far beside."""
    asked = list[float]()

    def near_matches(state: Tensor, pivot_mm: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(float(state[0, 0, 3]))
        return at(asked[-1] + same), at(*(asked[-1] + one for one in other))

    monkeypatch.setattr(solver, "near_matches", near_matches)
    return asked


@pytest.mark.parametrize(
    ("as_it_came", "mirrored", "place_mm", "times"),
    [(0.1, False, 19.0, 2.0), (0.28, True, 10.0, 1.4), (0.35, True, 10.0, 1.5)],
)
def test_a_mirrored_answer_is_one_only_if_nothing_near_it_fits_as_the_xray_came(
    monkeypatch: pytest.MonkeyPatch, as_it_came: float, mirrored: bool, place_mm: float,
    times: float,
) -> None:  # fmt: skip
    """10 is far behind as it came, but 19 is a near match of the mirrored answer, worth 0.2."""
    started(monkeypatch, search=[10.0])
    asked = near_to(monkeypatch, 1.0, (5.0, 9.0))
    first, _ = two_readings(
        monkeypatch,
        [
            looked_up({10.0: 0.3}),
            looked_up({15.0: 0.2, 19.0: 0.2}),
            looked_up({15.0: 0.4, 19.0: as_it_came}),
        ],
        [looked_up({10.0: 0.2})] * 3,
    )
    found = solved(Asked(init="search"))
    assert (found.reading.mirrored, place(found)) == (mirrored, place_mm)
    assert found.other_reading == pytest.approx(times)  # how far behind it was counts as well
    assert asked == [10.0]
    assert [level.refined for level in first] == [[[10.0]], [[15.0, 19.0]], [[15.0, 19.0]]]
    assert found.renders == 4 + 4  # both at the coarsest level, one at two finer ones


@pytest.mark.parametrize("swapped", [False, True])
def test_near_matches_of_an_answer_as_the_xray_came_are_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, swapped: bool
) -> None:
    """Of a mirrored one they are, also where there is one level only."""
    started(monkeypatch, search=[10.0])
    asked = near_to(monkeypatch, 1.0, (5.0, 9.0))
    losses = [[looked_up({10.0: 0.2})], [looked_up({10.0: 0.3})]]
    (as_it_came,), _ = two_readings(monkeypatch, *(losses[::-1] if swapped else losses))
    assert solved(Asked(init="search")).reading.mirrored == swapped
    assert asked == [10.0] * swapped
    assert as_it_came.refined[1 if swapped else 2 :] == [[15.0, 19.0]] * swapped


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("other", "goes_on"), [(0.207, True), (0.209, False)])
def test_attempts_go_on_while_the_other_reading_fits_as_well(
    monkeypatch: pytest.MonkeyPatch, mirrored: bool, other: float, goes_on: bool
) -> None:
    """1.04 times the loss is the limit.  Nothing is lost, but 20 is better and tells them apart."""
    asked = started(monkeypatch, dicom=[10.0], search=[20.0])
    losses = [
        [looked_up({10.0: 0.2, 20.0: 0.1})] * 2,
        [looked_up({10.0: other, 20.0: 0.15})] * 2,
    ]
    two_readings(monkeypatch, *(losses[::-1] if mirrored else losses))
    found = solved(Asked(init="dicom"))
    assert [name for name, _ in asked] == ["dicom"] * 2 + ["search"] * 2 * goes_on
    assert place(found) == (20.0 if goes_on else 10.0)
    assert found.reading.mirrored == mirrored


def test_what_stays_undecided_is_tried_to_the_last_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = started(monkeypatch, dicom=[10.0], search=[10.0])
    two_readings(monkeypatch, [looked_up({10.0: 0.2})] * 2, [looked_up({10.0: 0.2})] * 2)
    found = solved(Asked(init="dicom"))
    assert [name for name, _ in asked] == ["dicom"] * 2 + ["search"] * 6
    assert found.other_reading == 1.0


def test_what_shows_nearly_the_same_is_tried_in_both_readings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started(monkeypatch, search=[10.0, 30.0])
    asked = near_to(monkeypatch, 1.0, (5.0, 7.0))
    first, second = two_readings(
        monkeypatch,
        [looked_up({10.0: 0.5, 30.0: 0.6, 31.0: 0.6})] * 2,
        [looked_up({10.0: 0.6, 30.0: 0.5, 17.0: 0.4})] * 2,
    )
    found = solved(Asked(init="search", views=(seen(),)))
    assert asked[:2] == [10.0, 30.0]  # the best of each reading
    assert first[0].refined[1] == [11.0, 35.0, 37.0]  # its own, and what the other one leads to
    assert second[0].refined[1] == [15.0, 17.0, 31.0]
    assert found.reading.mirrored
    assert place(found) == 17.0


@pytest.mark.parametrize("asked", [Asked(views=(seen(),)), Asked(init="search")])
def test_a_pose_and_several_views_are_left_where_they_are(
    monkeypatch: pytest.MonkeyPatch, asked: Asked
) -> None:
    started(monkeypatch, search=[10.0], pose=[10.0])
    near = near_to(monkeypatch, 1.0, (5.0, 7.0))
    two_readings(monkeypatch, [towards(10.0)] * 2, [towards(10.0)] * 2)
    solved(asked)
    assert near == []


def test_adam_takes_the_reading_whose_start_fits_better(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, search=[10.0, 20.0], pose=[10.0])
    config = dataclasses.replace(
        Asked().settings, method="adam", adam=dataclasses.replace(Asked().settings.adam, steps=1)
    )
    two_readings(monkeypatch, [looked_up({10.0: 0.3})] * 2, [looked_up({10.0: 0.2})] * 2)
    monkeypatch.setattr(
        paper_loop, "minimise_adam", lambda *a: SimpleNamespace(state=a[2], iterations=1)
    )
    found = solved(Asked(init="search", settings=config))
    assert found.reading.mirrored
    assert found.other_reading == pytest.approx(1.5)
    found = solved(Asked(settings=config))
    assert not found.reading.mirrored
    assert found.other_reading is None
