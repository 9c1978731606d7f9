"""From starts to an answer, on a landscape made by hand: one body that slides along x."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.registration.landscapes import Flat, at
from torch import Tensor

from wsreg.optimisation.levenberg_marquardt import LevenbergMarquardtConfig, minimise
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration.clock import Clock
from wsreg.registration.config import LevelConfig, RegistrationConfig
from wsreg.registration.projection import Projection
from wsreg.registration.readings import Reading
from wsreg.registration.starts.config import SearchConfig
from wsreg.registration.strategy import Answer, descended, is_lost
from wsreg.similarity.ncc import GlobalNcc

NOISE = torch.rand(24, 24, generator=torch.Generator().manual_seed(0))
PATTERN = torch.rand(24, 24, generator=torch.Generator().manual_seed(1))
MASK = torch.ones(24, 24, dtype=torch.bool)


@pytest.fixture(autouse=True)
def _steep_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is seen decides alone whether a state is lost."""
    monkeypatch.setattr("wsreg.registration.strategy.steepness", lambda level, state: 0.01)


class Landscape(Flat):
    """A flat level whose loss of x mm is given.

    What is seen is the X-ray's pattern where the loss is under a half, else noise.
    """

    def __init__(self, loss_of: Callable[[Tensor], Tensor], voxel_mm: float = 1.0) -> None:
        self.loss_of, self.refined = loss_of, list[list[float]]()
        volume = SimpleNamespace(volume=SimpleNamespace(spacing_mm=(voxel_mm,) * 3))
        self.bodies: tuple[SimpleNamespace, ...] = (SimpleNamespace(volume=volume),)
        measure = GlobalNcc().prepare(PATTERN, MASK)
        self.views = (SimpleNamespace(fixed=PATTERN, mask=MASK, measure=measure, roi_term=None),)

    def as_judged(self) -> Landscape:
        return self

    def loss(self, states: Tensor) -> Tensor:
        return self.loss_of(states[:, 0, 0, 3])

    def project(self, states: Tensor, *, derivatives: bool) -> tuple[Projection]:
        good = float(self.loss(states)) < 0.5
        nothing = torch.empty(0)
        image = (PATTERN if good else NOISE)[None]
        return (
            Projection(
                image=image, image_jacobian=nothing, roi_lengths_mm=nothing, roi_jacobian=nothing
            ),
        )

    def with_rois_alone(self, config: object) -> None:
        return None


def looked_up(losses: dict[float, float]) -> Callable[[Tensor], Tensor]:
    """The loss at the named places, 9 elsewhere."""

    def loss_of(x: Tensor) -> Tensor:
        values = [losses.get(round(one, 6), 9.0) for one in x.tolist()]
        return torch.tensor(values, dtype=torch.float64)

    return loss_of


def reading_of(levels: Sequence[Landscape], **changes: Any) -> Reading:
    """What a strategy reads of a problem: one bone, which no end of a CT cuts off."""
    settings = RegistrationConfig(
        levels=(LevelConfig(image_px=24, voxel_mm=1.0, measure=GlobalNcc()),),
        search=SearchConfig(kept=3, finished=2),
    )
    bone = SimpleNamespace(part=SimpleNamespace(kind="alone"))
    volume = SimpleNamespace(corners_mm=torch.zeros(1, 3, dtype=torch.float64))
    problem = SimpleNamespace(
        settings=dataclasses.replace(settings, **changes), bodies=(bone,), volume=volume,
        observer=lambda level: None,
    )  # fmt: skip
    return Reading(problem=problem, levels=levels)  # type: ignore[arg-type]


def from_starts(levels: Sequence[Landscape], *along_x_mm: float, **changes: Any) -> Answer:
    return descended(reading_of(levels, **changes), at(*along_x_mm), Clock())


def test_states_much_worse_than_the_best_go_no_further() -> None:
    """1.25 times the best loss is the limit."""
    loss_of = looked_up({10.0: 0.2, 20.0: 0.246, 30.0: 0.254, 40.0: 0.2001, 50.0: torch.nan})
    coarse, fine = Landscape(loss_of), Landscape(loss_of)
    search = SearchConfig(kept=5, finished=5)
    found = from_starts([coarse, fine], 20.0, 30.0, 40.0, 50.0, 10.0, search=search)
    assert coarse.refined == [[20.0, 30.0, 40.0, 50.0, 10.0]]
    assert fine.refined == [[10.0, 40.0, 20.0]]
    assert float(found.state[0, 0, 3]) == 10.0


def test_fewer_and_fewer_go_on_and_only_different_ones() -> None:
    places = [10.0, 11.0, 20.0, 30.0, 40.0, 50.0]
    loss_of = looked_up({x: 0.2 + 0.001 * n for n, x in enumerate(places)})
    levels = [Landscape(loss_of, voxel_mm=mm) for mm in (2.0, 1.0, 0.5)]
    from_starts(levels, *places)
    # 11 is beside 10, within two voxels; three are kept, then two finished.
    assert levels[1].refined == [[10.0, 20.0, 30.0]]
    assert levels[2].refined == [[10.0, 20.0]]


def test_rivals_are_other_answers_with_nearly_the_same_loss() -> None:
    """Less than 1.04 times the best."""
    for other, rivals in ((0.207, [20.0]), (0.209, [])):
        level = Landscape(looked_up({10.0: 0.2, 20.0: other, 30.0: 0.3}))
        found = from_starts([level], 30.0, 20.0, 10.0)
        assert float(found.state[0, 0, 3]) == 10.0
        assert found.rivals[:, 0, 0, 3].tolist() == rivals
        assert found.starts == 2


def test_what_was_rendered_is_counted() -> None:
    level = Landscape(looked_up({10.0: 0.2, 20.0: 0.3}))
    found = from_starts([level, level], 10.0, 20.0)
    assert found.iterations == 0
    assert found.renders == 2 + 1  # the first of two states, and the one that went on


def test_progress_and_time_are_told_for_each_level() -> None:
    level, clock, told = Landscape(looked_up({10.0: 0.2})), Clock(), list[tuple[str, int, int]]()
    descended(reading_of([level, level]), at(10.0), clock, lambda *one: told.append(one))
    assert told == [("register", 0, 2), ("register", 1, 2), ("register", 2, 2)]
    assert set(clock.stop()) == {"level_1", "level_2", "total"}


def test_a_descent_may_begin_at_a_finer_level() -> None:
    levels = [Landscape(looked_up({10.0: 0.2, 20.0: 0.3})) for _ in range(3)]
    told = list[tuple[str, int, int]]()
    reading = reading_of(levels)
    found = descended(
        reading, at(20.0, 10.0), Clock(), lambda *one: told.append(one), first=1
    )  # fmt: skip
    assert [level.refined for level in levels] == [[], [[20.0, 10.0]], [[10.0]]]
    assert told == [("register", 1, 3), ("register", 2, 3), ("register", 3, 3)]
    assert found.reading is reading


def test_regions_lead_where_asked() -> None:
    """On the levels as they are; else on those of the images alone."""
    both, plain = ([Landscape(looked_up({10.0: 0.2}))] for _ in range(2))
    reading = reading_of(both)
    reading.__dict__["plain"] = plain
    descended(reading, at(10.0), Clock())
    assert (both[0].refined, plain[0].refined) == ([], [[10.0]])
    descended(reading, at(10.0), Clock(), led=True)
    assert (both[0].refined, plain[0].refined) == ([[10.0]], [[10.0]])


def test_before_each_level_is_told_what_the_ct_covers_at_the_best_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coarse, fine, better = (Landscape(looked_up({10.0: 0.2, 20.0: 0.3})) for _ in range(3))
    told = list[float]()
    readings = [reading_of([coarse, fine]), reading_of([coarse, better])]

    def covered(reading: Reading, state: Tensor) -> Reading:
        told.append(float(state[0, 0, 3]))
        return readings[len(told) - 1]

    monkeypatch.setattr("wsreg.registration.strategy.covered", covered)
    found = descended(readings[0], at(20.0, 10.0), Clock())
    assert told == [20.0, 10.0]
    assert (fine.refined, better.refined) == ([], [[10.0]])
    assert found.reading is readings[1]


def test_what_is_like_nothing_in_the_xray_is_lost() -> None:
    reading = reading_of([Landscape(looked_up({10.0: 0.2, 20.0: 0.7}))])
    assert not is_lost(reading, at(10.0)[0])
    assert is_lost(reading, at(20.0)[0])


@pytest.mark.parametrize(
    ("agreements", "steepness", "lost", "looked"),
    [
        ([0.97], 0.01, False, 1),
        ([0.97], 0.0005, True, 1),  # on a plain
        ([0.9999], 0.0, False, 0),  # right even on a plain
        ([0.9999, 0.9], 0.01, True, 1),  # one of two X-rays is enough
    ],
)
def test_edges_and_the_rise_of_the_loss_tell_what_is_lost(
    monkeypatch: pytest.MonkeyPatch, agreements: list[float], steepness: float, lost: bool,
    looked: int,
) -> None:  # fmt: skip
    seen = list[Landscape]()
    coarse, fine = (Landscape(looked_up({10.0: 0.2})) for _ in range(2))

    def rise(level: Landscape, state: Tensor) -> float:
        seen.append(level)
        return steepness

    evaluation = SimpleNamespace(gradient_agreements=agreements)
    module = "wsreg.registration.strategy"
    monkeypatch.setattr(f"{module}.evaluate", lambda *_, **__: evaluation)
    monkeypatch.setattr(f"{module}.steepness", rise)
    assert is_lost(reading_of([coarse, fine]), at(10.0)[0]) == lost
    assert seen == [coarse] * looked


class Slope(Landscape):
    """A landscape on which states do move: from where they are towards 10 mm or 20 mm."""

    def __init__(self, loss_of: Callable[[Tensor], Tensor], bodies: int = 1) -> None:
        super().__init__(loss_of)
        self.bodies *= bodies

    def linearize(self, states: Tensor) -> QuadraticModel:
        self.refined.append(states[:, 0, 0, 3].tolist())
        count, parameters = len(states), 6 * len(self.bodies)
        x = states[:, 0, 0, 3]
        gradient = torch.zeros(count, parameters, dtype=torch.float64)
        gradient[:, 3] = (self.loss_of(x + 1e-3) - self.loss_of(x - 1e-3)) / 2e-3
        curvature = torch.full_like(gradient, 1e-9)
        curvature[:, 3] = 0.004
        return QuadraticModel(
            value=self.loss_of(x), gradient=gradient, normal_matrix=torch.diag_embed(curvature)
        )

    def move(self, states: Tensor, steps: Tensor) -> Tensor:
        there = states.clone()
        there[..., 0, 0, 3] += steps[..., 3]
        return there


def two_valleys(other: float) -> Callable[[Tensor], Tensor]:
    """0.2 at 10 mm, and a second minimum at 40 mm."""

    def loss_of(x: Tensor) -> Tensor:
        near, far = 0.2 + 0.002 * (x - 10.0).square(), other + 0.002 * (x - 40.0).square()
        return torch.minimum(near, far)

    return loss_of


def test_rivals_are_refined_before_they_count() -> None:
    """One that has not converged, and looks worse than it is, is a rival once it has."""
    descent = LevenbergMarquardtConfig(max_iterations=1, damping=0.4)
    found = {}
    for other in (0.2, 0.215):  # 1.04 times the best loss is 0.208
        level = Slope(two_valleys(other))
        found[other] = from_starts([level], 10.0, 43.0, descent=descent)
        assert float(found[other].state[0, 0, 3]) == 10.0
        # Both once, a step of the second, and once more the second alone: it and its step.
        assert [len(states) for states in level.refined] == [2, 1, 1, 1]
        assert level.refined[2][0] == pytest.approx(40.0 + 3.0 * 0.4 / 1.4)
        assert found[other].renders == 3 + 2
        assert found[other].iterations == 1 + 2
    assert len(found[0.215].rivals) == 0
    (rival,) = found[0.2].rivals[:, 0, 0, 3].tolist()
    assert rival == pytest.approx(40.0 + 3.0 * (0.4 / 1.4) ** 2)


def test_a_rival_that_ends_lower_is_the_answer() -> None:
    """0.2005 after a step and 0.1991 after another, against 0.2 of what had converged."""
    descent = LevenbergMarquardtConfig(max_iterations=1, damping=0.4)
    found = from_starts([Slope(two_valleys(0.199))], 10.0, 43.0, descent=descent)
    assert float(found.state[0, 0, 3]) == pytest.approx(40.0 + 3.0 * (0.4 / 1.4) ** 2)
    assert found.rivals[:, 0, 0, 3].tolist() == [10.0]


def test_a_rival_far_behind_is_not_refined() -> None:
    """1.25 times the best loss is the limit."""
    descent = LevenbergMarquardtConfig(max_iterations=1, damping=0.4)
    level = Slope(two_valleys(0.24))
    found = from_starts([level], 10.0, 50.0, descent=descent)
    assert [len(states) for states in level.refined] == [2, 1]
    assert len(found.rivals) == 0


def test_bodies_come_apart_where_a_level_has_several() -> None:
    """They begin where the whole was."""
    whole, apart = Slope(two_valleys(0.3)), Slope(two_valleys(0.3), bodies=3)
    found = from_starts([whole, apart], 14.0)
    assert found.state.shape == (3, 4, 4)
    assert found.state[:, 0, 3].tolist() == pytest.approx([10.0, 10.0, 10.0], abs=0.1)
    assert apart.refined[0] == pytest.approx([10.0], abs=0.1)
    # Only the first body slid on this landscape; those that hold on to it stayed.
    assert torch.equal(found.state[1], found.state[2])


def test_a_body_that_holds_on_to_the_first_may_creep(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def spy(*arguments: Any) -> Any:
        seen.append(arguments[5])
        return minimise(*arguments)

    monkeypatch.setattr("wsreg.registration.strategy.minimise", spy)
    from_starts([Slope(two_valleys(0.3), bodies=2)], 12.0)
    assert seen[0].tolist() == [1.0] * 6 + [10.0] * 6
