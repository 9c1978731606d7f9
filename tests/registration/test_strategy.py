"""From starts to an answer, on a landscape made by hand: one body that slides along x."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.optimisation.levenberg_marquardt import LevenbergMarquardtConfig, minimise
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.clock import Clock
from wsreg.registration.config import LevelConfig, RegistrationConfig
from wsreg.registration.problem import Problem
from wsreg.registration.projection import Projection
from wsreg.registration.starts.config import SearchConfig
from wsreg.registration.starts.table import STARTS
from wsreg.registration.strategy import Answer, solve, with_polarity_settled
from wsreg.similarity.ncc import GlobalNcc

NOISE = torch.rand(24, 24, generator=torch.Generator().manual_seed(0))
PATTERN = torch.rand(24, 24, generator=torch.Generator().manual_seed(1))
MASK = torch.ones(24, 24, dtype=torch.bool)


@pytest.fixture(autouse=True)
def _steep_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is seen decides alone whether a state is lost."""
    monkeypatch.setattr("wsreg.registration.strategy.steepness", lambda level, state: 0.01)


def at(*along_x_mm: float) -> Tensor:
    """[N,1,4,4]"""
    states = torch.eye(4, dtype=torch.float64).repeat(len(along_x_mm), 1, 1, 1)
    states[:, 0, 0, 3] = torch.tensor(along_x_mm, dtype=torch.float64)
    return states


class Landscape:
    """A level whose loss of x mm is given; it is flat to the solver, so states stay.

    What is seen is the X-ray's pattern where the loss is under a half, else noise.
    """

    def __init__(self, loss_of: Callable[[Tensor], Tensor], voxel_mm: float = 1.0) -> None:
        self.loss_of, self.refined = loss_of, list[list[float]]()
        volume = SimpleNamespace(volume=SimpleNamespace(spacing_mm=(voxel_mm,) * 3))
        self.bodies: tuple[SimpleNamespace, ...] = (SimpleNamespace(volume=volume),)
        measure = GlobalNcc().prepare(PATTERN, MASK)
        self.views = (SimpleNamespace(fixed=PATTERN, mask=MASK, measure=measure, roi_term=None),)

    def loss(self, states: Tensor) -> Tensor:
        return self.loss_of(states[:, 0, 0, 3])

    def linearize(self, states: Tensor) -> QuadraticModel:
        self.refined.append(states[:, 0, 0, 3].tolist())
        zero = torch.zeros(len(states), 6, dtype=torch.float64)
        return QuadraticModel(
            value=self.loss(states), gradient=zero, normal_matrix=torch.diag_embed(zero + 1.0)
        )

    def move(self, states: Tensor, steps: Tensor) -> Tensor:
        return states

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


def problem_of(**changes: Any) -> Any:
    """What a strategy reads of a problem."""
    settings = RegistrationConfig(
        levels=(LevelConfig(image_px=24, voxel_mm=1.0, measure=GlobalNcc()),),
        search=SearchConfig(poses=32, refined=6, kept=3, finished=2),
        probes=2,
    )
    parts = {
        "settings": settings,
        "start": at(0.0)[0],
        "init": "pose",
        "render_labels": (),
        "bodies": (SimpleNamespace(pivot_mm=torch.zeros(3, dtype=torch.float64)),),
        "volume": SimpleNamespace(corners_mm=torch.zeros(1, 3, dtype=torch.float64)),
    }
    return SimpleNamespace(**{**parts, **changes})


def solved(
    monkeypatch: pytest.MonkeyPatch, levels: list[Landscape], *starts: float, **changes: Any
) -> Answer:
    monkeypatch.setattr(
        "wsreg.registration.strategy.STARTS", {**STARTS, "pose": lambda *_: at(*starts)}
    )
    return solve(problem_of(**changes), levels, Clock(), lambda stage, done, total: None)  # type: ignore[arg-type]


def test_states_much_worse_than_the_best_go_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """1.25 times the best loss is the limit."""
    loss_of = looked_up({10.0: 0.2, 20.0: 0.246, 30.0: 0.254, 40.0: 0.2001, 50.0: torch.nan})
    coarse, fine = Landscape(loss_of), Landscape(loss_of)
    settings = dataclasses.replace(problem_of().settings, search=SearchConfig(kept=5, finished=5))
    found = solved(monkeypatch, [coarse, fine], 20.0, 30.0, 40.0, 50.0, 10.0, settings=settings)
    assert coarse.refined == [[20.0, 30.0, 40.0, 50.0, 10.0]]
    assert fine.refined == [[10.0, 40.0, 20.0]]
    assert float(found.state[0, 0, 3]) == 10.0


def test_fewer_and_fewer_go_on_and_only_different_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [10.0, 11.0, 20.0, 30.0, 40.0, 50.0]
    loss_of = looked_up({x: 0.2 + 0.001 * n for n, x in enumerate(places)})
    levels = [Landscape(loss_of, voxel_mm=mm) for mm in (2.0, 1.0, 0.5)]
    solved(monkeypatch, levels, *places)
    # 11 is beside 10, within two voxels; three are kept, then two finished.
    assert levels[1].refined == [[10.0, 20.0, 30.0]]
    assert levels[2].refined == [[10.0, 20.0]]


def test_rivals_are_other_answers_with_nearly_the_same_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Less than 1.04 times the best."""
    for other, rivals in ((0.207, [20.0]), (0.209, [])):
        level = Landscape(looked_up({10.0: 0.2, 20.0: other, 30.0: 0.3}))
        found = solved(monkeypatch, [level], 30.0, 20.0, 10.0)
        assert float(found.state[0, 0, 3]) == 10.0
        assert found.rivals[:, 0, 0, 3].tolist() == rivals
        assert found.starts == 2


def test_what_was_rendered_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    level = Landscape(looked_up({10.0: 0.2, 20.0: 0.3}))
    found = solved(monkeypatch, [level, level], 10.0, 20.0)
    assert found.iterations == 0
    assert found.renders == 2 + 1  # the first of two states, and the one that went on


def towards(best_mm: float) -> Callable[[Tensor], Tensor]:
    """A loss that grows from 0.1 with the distance from ``best_mm``, 0.5 at 20 mm."""
    return lambda x: 0.1 + 0.02 * (x - best_mm).abs()


def test_a_lost_start_widens_into_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    level = Landscape(towards(35.0))
    found = solved(monkeypatch, [level], 0.0)
    assert abs(float(found.state[0, 0, 3]) - 35.0) < 15.0
    assert len(level.refined) == 2
    assert len(level.refined[1]) == 6  # the best of the search
    # The start, those of the search, two to compare, and all that was tried.
    assert found.renders == 1 + 6 + 32 + 2


def test_a_good_start_is_not_searched_around(monkeypatch: pytest.MonkeyPatch) -> None:
    level = Landscape(towards(5.0))
    found = solved(monkeypatch, [level], 0.0)
    assert float(found.state[0, 0, 3]) == 0.0
    assert len(level.refined) == 1
    assert found.renders == 1


def test_a_lost_bone_is_not_searched_for_from_a_given_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    level = Landscape(towards(35.0))
    found = solved(monkeypatch, [level], 0.0, render_labels=(9,))
    assert float(found.state[0, 0, 3]) == 0.0
    assert len(level.refined) == 1


def test_a_search_that_finds_nothing_better_does_not_replace_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The start is lost, but all places around it are worse."""
    level = Landscape(lambda x: 0.6 + 0.001 * x.abs())
    found = solved(monkeypatch, [level], 0.0, start=at(30.0)[0])
    assert len(level.refined) == 2
    assert float(found.state[0, 0, 3]) == 0.0


def test_a_search_is_not_searched_again() -> None:
    level = Landscape(lambda x: 0.6 + 0.001 * x.abs())
    found = solve(problem_of(init="search"), [level], Clock(), lambda *_: None)  # type: ignore[list-item]
    assert len(level.refined) == 1
    assert found.renders == 6 + 32


def test_progress_and_time_are_told_for_each_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "wsreg.registration.strategy.STARTS", {**STARTS, "pose": lambda *_: at(10.0)}
    )
    level, clock, told = Landscape(looked_up({10.0: 0.2})), Clock(), list[tuple[str, int, int]]()
    solve(problem_of(), [level, level], clock, lambda *one: told.append(one))  # type: ignore[list-item]
    assert told == [("register", 0, 2), ("register", 1, 2), ("register", 2, 2)]
    assert set(clock.stop()) == {"start", "level_1", "level_2", "total"}


def with_readings(problem: Problem, *inverted: bool) -> Problem:
    """Each view's X-ray with an opposite reading; ``inverted`` ones are read the wrong way."""
    views = []
    for view, wrong in zip(problem.views, inverted, strict=True):
        image = view.radiograph.image
        right = Radiograph(image=image, mask=view.radiograph.mask, opposite_polarity=-image)
        turned = dataclasses.replace(right, image=-image, opposite_polarity=image)
        views.append(dataclasses.replace(view, radiograph=turned if wrong else right, rois=None))
    return dataclasses.replace(problem, views=tuple(views))


@pytest.mark.parametrize("inverted", [(False, True), (True, False)])
def test_the_polarity_of_each_view_is_settled_by_the_ct(
    pair: Problem, inverted: tuple[bool, bool]
) -> None:
    settled, text = with_polarity_settled(with_readings(pair, *inverted))
    for view, original in zip(settled.views, pair.views, strict=True):
        assert torch.equal(view.radiograph.image, original.radiograph.image)
        assert view.radiograph.opposite_polarity is None
    names = [view.radiograph.name for view in pair.views]
    parts = [
        f"{name}: {'opposite' if one else 'as read'}, which fits the CT better"
        for name, one in zip(names, inverted, strict=True)
    ]
    assert text == "; ".join(parts)


def test_what_is_known_is_left_as_read(pair: Problem) -> None:
    settled, text = with_polarity_settled(pair)
    assert settled is pair
    assert text == "as read"


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


def test_rivals_are_refined_before_they_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has not converged, and looks worse than it is, is a rival once it has."""
    descent = LevenbergMarquardtConfig(max_iterations=1, damping=0.4)
    settings = dataclasses.replace(problem_of().settings, descent=descent)
    found = {}
    for other in (0.2, 0.215):  # 1.04 times the best loss is 0.208
        level = Slope(two_valleys(other))
        found[other] = solved(monkeypatch, [level], 10.0, 43.0, settings=settings)
        assert float(found[other].state[0, 0, 3]) == 10.0
        # Both once, a step of the second, and once more the second alone: it and its step.
        assert [len(states) for states in level.refined] == [2, 1, 1, 1]
        assert level.refined[2][0] == pytest.approx(40.0 + 3.0 * 0.4 / 1.4)
        assert found[other].renders == 3 + 2
        assert found[other].iterations == 1 + 2
    assert len(found[0.215].rivals) == 0
    (rival,) = found[0.2].rivals[:, 0, 0, 3].tolist()
    assert rival == pytest.approx(40.0 + 3.0 * (0.4 / 1.4) ** 2)


def test_a_rival_that_ends_lower_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.2005 after a step and 0.1991 after another, against 0.2 of what had converged."""
    descent = LevenbergMarquardtConfig(max_iterations=1, damping=0.4)
    settings = dataclasses.replace(problem_of().settings, descent=descent)
    found = solved(monkeypatch, [Slope(two_valleys(0.199))], 10.0, 43.0, settings=settings)
    assert float(found.state[0, 0, 3]) == pytest.approx(40.0 + 3.0 * (0.4 / 1.4) ** 2)
    assert found.rivals[:, 0, 0, 3].tolist() == [10.0]


def test_a_rival_far_behind_is_not_refined(monkeypatch: pytest.MonkeyPatch) -> None:
    """1.25 times the best loss is the limit."""
    descent = LevenbergMarquardtConfig(max_iterations=1, damping=0.4)
    settings = dataclasses.replace(problem_of().settings, descent=descent)
    level = Slope(two_valleys(0.24))
    found = solved(monkeypatch, [level], 10.0, 50.0, settings=settings)
    assert [len(states) for states in level.refined] == [2, 1]
    assert len(found.rivals) == 0


def test_bodies_come_apart_where_a_level_has_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """They begin where the whole was."""
    whole, apart = Slope(two_valleys(0.3)), Slope(two_valleys(0.3), bodies=3)
    found = solved(monkeypatch, [whole, apart], 14.0)
    assert found.state.shape == (3, 4, 4)
    assert found.state[:, 0, 3].tolist() == pytest.approx([10.0, 10.0, 10.0], abs=0.1)
    assert apart.refined[0] == pytest.approx([10.0], abs=0.1)
    # Only the first body slid on this landscape; those that hold on to it stayed.
    assert torch.equal(found.state[1], found.state[2])


def test_a_body_that_holds_on_to_the_first_may_creep(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def spy(*arguments: Any) -> Any:
        seen.append(arguments[-1])
        return minimise(*arguments)

    monkeypatch.setattr("wsreg.registration.strategy.minimise", spy)
    solved(monkeypatch, [Slope(two_valleys(0.3), bodies=2)], 12.0)
    assert seen[0].tolist() == [1.0] * 6 + [10.0] * 6
