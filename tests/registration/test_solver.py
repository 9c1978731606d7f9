"""Which states are refined, and which of them is the answer, on landscapes made by hand."""

from __future__ import annotations

import pytest
from tests.registration.landscapes import (
    Asked,
    Ground,
    at,
    looked_up,
    place,
    solved,
    started,
    towards,
    with_region,
)
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration import attempts as attempts_module
from wsreg.registration.readings import Reading
from wsreg.registration.starts.table import STARTS

pytestmark = pytest.mark.usefixtures("half_a_loss_is_lost")


def given_with_regions(
    monkeypatch: pytest.MonkeyPatch, by_image: list[float], by_regions: list[float]
) -> None:
    """Let a pose start elsewhere where regions lead."""

    def start(problem: Asked, level: Ground) -> Tensor:
        return at(*(by_image if level.views[0].roi_term is None else by_regions))

    monkeypatch.setattr(
        attempts_module, "STARTS", {**STARTS, "search": lambda *_: at(40.0), "pose": start}
    )


def test_regions_do_not_lead_where_the_image_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would lead to 20, which the image likes less."""
    given_with_regions(monkeypatch, [0.0], [20.0])
    coarse, fine = (
        with_region(looked_up({0.0: 0.3, 20.0: 0.4}), looked_up({0.0: 3.0, 20.0: 0.0}))
        for _ in range(2)
    )
    found = solved(Asked(), coarse, fine)
    assert place(found) == 0.0
    assert fine.refined == [[0.0]]


@pytest.mark.parametrize(("image", "answer"), [(0.3, 0.0), (0.32, 20.0)])
def test_regions_lead_first_where_the_image_likes_it_much_better(
    monkeypatch: pytest.MonkeyPatch, image: float, answer: float
) -> None:
    """By 1.25 times; 0 may be a place where the image is not lost, and wrong."""
    given_with_regions(monkeypatch, [0.0], [20.0])
    level = with_region(looked_up({0.0: image, 20.0: 0.25}), looked_up({0.0: 3.0, 20.0: 0.0}))
    assert place(solved(Asked(), level)) == answer


def test_regions_lead_where_the_image_is_lost_and_the_image_judges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To 20, far behind by the image of the coarsest level, which is the best by the finest."""
    given_with_regions(monkeypatch, [0.0, 20.0], [0.0, 20.0])
    of_region = looked_up({0.0: 3.0, 20.0: 0.0, 40.0: 0.0})
    coarse = with_region(looked_up({0.0: 0.3, 20.0: 0.8, 40.0: 0.1}), of_region)
    fine = with_region(looked_up({0.0: 0.9, 20.0: 0.2, 40.0: 0.1}), of_region)
    assert place(solved(Asked(), coarse, fine)) == 20.0
    # Both asked for which is to lead; the image, regions, and last the image alone.
    assert coarse.refined == [[0.0, 20.0]] * 4 + [[20.0]]
    assert fine.refined == [[0.0], [20.0], [20.0]]


def test_what_regions_find_is_no_answer_where_the_image_fits_better_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started(monkeypatch, pose=[0.0, 20.0], search=[0.0])
    level = with_region(looked_up({0.0: 0.6, 20.0: 0.7}), looked_up({0.0: 3.0, 20.0: 0.0}))
    assert place(solved(Asked(), level)) == 0.0


class Slope(Ground):
    """Steep by 0.02 everywhere; each step of the solver goes 1 mm down."""

    def linearize(self, states: Tensor) -> QuadraticModel:
        model = super().linearize(states)
        x = states[:, 0, 0, 3]
        model.gradient[:, 3] = (self.loss_of(x + 1e-3) - self.loss_of(x - 1e-3)) / 2e-3
        model.normal_matrix[:, 3, 3] = 0.02
        return model

    def move(self, states: Tensor, steps: Tensor) -> Tensor:
        there = states.clone()
        there[..., 0, 0, 3] += steps[..., 3]
        return there


def test_of_many_starts_the_worse_half_is_given_up_after_six_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The better half goes on from where it came to, the best first."""
    started(monkeypatch, search=[180.0, 170.0, 160.0, 150.0, 140.0, 130.0, 120.0, 110.0, 190.0])
    level = Slope(towards(100.0))
    found = solved(Asked(init="search"), level)
    assert [len(states) for states in level.refined[:9]] == [9] * 7 + [4] * 2
    assert level.refined[7] == pytest.approx([104.0, 114.0, 124.0, 134.0], abs=0.1)
    assert place(found) == pytest.approx(100.0, abs=1.0)


@pytest.mark.parametrize(("count", "batches"), [(7, [7]), (8, [8, 4])])
def test_eight_starts_are_many_and_all_work_is_counted(
    monkeypatch: pytest.MonkeyPatch, count: int, batches: list[int]
) -> None:
    """0 is the best, and refined at the finest level alone."""
    started(monkeypatch, search=[10.0 * one for one in range(count)][::-1])
    coarse, fine = (Ground(lambda x: 0.1 + 0.02 * x) for _ in range(2))
    found = solved(Asked(init="search"), coarse, fine)
    assert [len(states) for states in coarse.refined] == batches
    assert fine.refined == [[0.0]]
    assert found.renders == sum(batches) + 1


def test_states_are_told_apart_by_what_the_ct_covers_at_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """20 is behind by all of the image, and the best by what is covered there."""
    started(monkeypatch, search=[10.0, 20.0])
    whole = Ground(looked_up({10.0: 0.2, 20.0: 0.22}))
    part = Ground(looked_up({20.0: 0.1, 10.0: 9.0}))
    told = list[float]()
    by_part = Reading(problem=Asked(init="search"), levels=[part, part])  # type: ignore[arg-type, list-item]

    def covered(reading: Reading, state: Tensor) -> Reading:
        told.append(float(state[0, 0, 3]))
        return by_part if told[-1] == 20.0 else reading

    for module in ("solver", "strategy"):
        monkeypatch.setattr(f"wsreg.registration.{module}.covered", covered)
    found = solved(Asked(init="search"), whole, whole)
    assert place(found) == 20.0
    assert found.reading is by_part
    assert told == [10.0, 20.0, 20.0]  # both, and once more before the finer level
    assert whole.refined == [[10.0, 20.0], [10.0]]
    assert part.refined == [[20.0], [20.0]]
    assert found.renders == 2 + 1 + 1 + 1


def test_a_pose_begins_with_what_the_ct_covers_there(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, pose=[10.0, 20.0])
    whole, part = Ground(looked_up({10.0: 0.2})), Ground(looked_up({10.0: 0.1}))
    by_part = Reading(problem=Asked(), levels=[part])  # type: ignore[arg-type, list-item]
    for module in ("solver", "strategy"):
        monkeypatch.setattr(f"wsreg.registration.{module}.covered", lambda *_: by_part)
    found = solved(Asked(), whole)
    assert found.reading is by_part
    assert whole.refined == []
