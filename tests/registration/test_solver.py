"""Which starts and readings are tried, on landscapes made by hand: a bone that slides along x."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration import attempts as attempts_module
from wsreg.registration import paper_loop, solver
from wsreg.registration.attempts import QUARTER, Attempt, attempts
from wsreg.registration.clock import Clock
from wsreg.registration.config import LevelConfig, RegistrationConfig
from wsreg.registration.readings import Reading
from wsreg.registration.solver import solve
from wsreg.registration.starts.config import SearchConfig
from wsreg.registration.starts.table import STARTS
from wsreg.registration.strategy import Answer
from wsreg.similarity.ncc import GlobalNcc

LossOf = Callable[[Tensor], Tensor]
REGION = object()


def at(*along_x_mm: float) -> Tensor:
    """[N,1,4,4]"""
    states = torch.eye(4, dtype=torch.float64).repeat(len(along_x_mm), 1, 1, 1)
    states[:, 0, 0, 3] = torch.tensor(along_x_mm, dtype=torch.float64)
    return states


@dataclass(frozen=True)
class Seen:
    """A view of a level, with its terms."""

    terms: tuple[object, ...] = ()
    roi_term: object = None
    roi_grid: object = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "roi_term", REGION if REGION in self.terms else None)


@dataclass(frozen=True, eq=False)
class Ground:
    """A level whose loss of x mm is given; it is flat to the solver, so states stay.

    A region in its view adds ``of_region`` to the loss.
    """

    loss_of: LossOf
    of_region: LossOf = torch.zeros_like
    views: tuple[Seen, ...] = (Seen(),)
    refined: list[list[float]] = field(default_factory=list)
    bodies: tuple[Any, ...] = (
        SimpleNamespace(volume=SimpleNamespace(volume=SimpleNamespace(spacing_mm=(1.0,) * 3))),
    )

    def loss(self, states: Tensor) -> Tensor:
        x = states[:, 0, 0, 3]
        led = self.views[0].roi_term is not None
        return self.loss_of(x) + (self.of_region(x) if led else 0.0)

    def linearize(self, states: Tensor) -> QuadraticModel:
        self.refined.append(states[:, 0, 0, 3].tolist())
        zero = torch.zeros(len(states), 6, dtype=torch.float64)
        return QuadraticModel(
            value=self.loss(states), gradient=zero, normal_matrix=torch.diag_embed(zero + 1.0)
        )

    def move(self, states: Tensor, steps: Tensor) -> Tensor:
        return states

    def with_rois_alone(self, config: object) -> None:
        return None


def with_region(loss_of: LossOf, of_region: LossOf) -> Ground:
    return Ground(loss_of, of_region, (Seen(terms=(REGION,)),))


def seen(directions: tuple[str, str] | None = None) -> Any:
    """A view of an X-ray whose header says how the patient lies in it, or nothing."""
    return SimpleNamespace(radiograph=SimpleNamespace(patient_orientation=directions))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a solver reads of a problem; several views, so that nothing is mirrored by itself."""

    init: str = "pose"
    start: Tensor = field(default_factory=lambda: at(0.0)[0])
    settings: RegistrationConfig = field(
        default_factory=lambda: RegistrationConfig(
            levels=(LevelConfig(image_px=24, voxel_mm=1.0, measure=GlobalNcc()),),
            search=SearchConfig(poses=32, refined=6, kept=3, finished=2, half_turned=False),
            probes=2,
        )
    )
    views: tuple[Any, ...] = (seen(), seen())
    bodies: tuple[Any, ...] = (
        SimpleNamespace(
            pivot_mm=torch.zeros(3, dtype=torch.float64), part=SimpleNamespace(kind="alone")
        ),
    )
    render_labels: tuple[int, ...] = ()
    volume: Any = field(
        default_factory=lambda: SimpleNamespace(corners_mm=torch.zeros(1, 3, dtype=torch.float64))
    )

    def observer(self, level: Any) -> None:
        return None


@pytest.fixture(autouse=True)
def _half_a_loss_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state is lost from a loss of a half on, by the image at the finest level."""

    def is_lost(reading: Reading, state: Tensor) -> bool:
        return float(reading.plain[-1].loss(state[None])) >= 0.5

    monkeypatch.setattr(solver, "is_lost", is_lost)


def started(monkeypatch: pytest.MonkeyPatch, **starts: list[float]) -> list[tuple[str, Tensor]]:
    """Let starts be at these places; what they were asked for is put down."""
    asked = list[tuple[str, Tensor]]()

    def given(name: str, places: list[float]) -> Callable[..., Tensor]:
        def start(problem: Asked, level: Ground) -> Tensor:
            asked.append((name, problem.start))
            return at(*places)

        return start

    made = {name: given(name, places) for name, places in starts.items()}
    monkeypatch.setattr(attempts_module, "STARTS", {**STARTS, **made})
    return asked


def solved(asked: Asked, *levels: Ground) -> Answer:
    return solve(asked, levels, Clock(), lambda stage, done, total: None)  # type: ignore[arg-type]


def place(answer: Answer) -> float:
    return float(answer.state[0, 0, 3])


def towards(best_mm: float) -> LossOf:
    """A loss that grows from 0.1 with the distance from ``best_mm``, 0.5 at 20 mm."""
    return lambda x: 0.1 + 0.02 * (x - best_mm).abs()


def looked_up(losses: dict[float, float]) -> LossOf:
    """The loss at the named places, 9 elsewhere."""

    def loss_of(x: Tensor) -> Tensor:
        values = [losses.get(round(one, 6), 9.0) for one in x.tolist()]
        return torch.tensor(values, dtype=torch.float64)

    return loss_of


def tried(ways: tuple[bool, ...] = (False,), **changes: Any) -> list[Attempt]:
    return attempts(Asked(**changes), ways)  # type: ignore[arg-type]


def test_the_order_of_attempts() -> None:
    pose, search = Attempt(init="pose"), Attempt(init="search")
    quarter = Attempt(init="search", quarter=True)
    assert tried() == [pose, search, quarter]
    assert tried(init="search") == [search, quarter]
    led, led_search = Attempt(init="dicom", led=True), Attempt(init="search", led=True)
    plain = Attempt(init="dicom")
    assert tried((False, True), init="dicom") == [plain, led, search, led_search, quarter]
    assert tried((True, False), init="dicom") == [led, plain, search, led_search, quarter]
    assert tried((False, True), init="search") == [search, led_search, quarter]


def test_a_single_bone_with_a_pose_is_not_searched_for() -> None:
    bone: dict[str, Any] = {"render_labels": (5,)}
    assert tried(**bone) == [Attempt(init="pose")]
    assert tried((False, True), **bone) == [Attempt(init="pose"), Attempt(init="pose", led=True)]
    assert tried(init="search", **bone) == tried(init="search")


def test_a_lost_start_widens_into_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, pose=[0.0])
    level = Ground(towards(35.0))
    found = solved(Asked(), level)
    assert abs(place(found) - 35.0) < 15.0
    first, again, *searched = level.refined
    assert (first, again) == ([0.0], [0.0])  # one level is the coarsest and the finest
    assert len(searched[0]) == 6  # the best of the search
    assert searched[1][0] == place(found)


def test_a_single_bone_is_not_searched_beyond_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = started(monkeypatch, pose=[0.0], search=[30.0])
    monkeypatch.setattr(solver, "near_its_start", lambda answer, clock: answer, raising=False)
    assert place(solved(Asked(render_labels=(5,)), Ground(towards(35.0)))) == 0.0
    assert [name for name, _ in asked] == ["pose"]
    assert place(solved(Asked(render_labels=(5,), init="search"), Ground(towards(35.0)))) == 30.0


def test_a_good_start_is_not_searched_around(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, pose=[0.0])
    coarse, fine = Ground(towards(5.0)), Ground(towards(5.0))
    found = solved(Asked(), coarse, fine)
    assert place(found) == 0.0
    assert (coarse.refined, fine.refined) == ([[0.0]], [[0.0]])
    assert found.renders == 2
    assert found.other_reading is None


def test_a_search_that_finds_nothing_better_does_not_replace_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The start is lost, but all places around it are worse; all that was done is counted."""
    started(monkeypatch, pose=[0.0], search=[30.0, 40.0])
    level = Ground(lambda x: 0.6 + 0.001 * x.abs())
    found = solved(Asked(), level)
    assert place(found) == 0.0
    assert level.refined == [[0.0], [0.0], *[[30.0, 40.0]] * 4]
    assert found.renders == 10


def test_a_search_is_not_searched_again_but_turned_by_a_quarter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = started(monkeypatch, search=[0.0])
    solved(Asked(init="search"), Ground(lambda x: x + 0.6))
    assert [name for name, _ in asked] == ["search", "search"]
    (_, first), (_, second) = asked
    assert torch.equal(first, at(0.0)[0])
    assert torch.equal(second, QUARTER @ first)
    # What points along the columns then points along the rows.
    x = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    assert (second[0] @ x).tolist() == [0.0, 1.0, 0.0, 1.0]


def test_what_a_start_of_the_header_finds_ends_the_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = started(monkeypatch, dicom=[0.0], search=[5.0])
    assert place(solved(Asked(init="dicom"), Ground(towards(0.0)))) == 0.0
    assert place(solved(Asked(init="dicom"), Ground(towards(30.0)))) == 5.0
    assert [name for name, _ in asked] == ["dicom", "dicom", "search", "search"]


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
    assert [name for name, _ in asked] == ["dicom"] * 2 + ["search"] * 4
    assert found.other_reading == 1.0


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


TURNED = {
    ("L", "P"): [[1, 0], [0, 1]],
    ("A", "L"): [[0, -1], [1, 0]],
    ("R", "A"): [[-1, 0], [0, -1]],
    ("P", "R"): [[0, 1], [-1, 0]],
}  # fmt: skip
"""L and P components of where columns and rows of the image run, in the order of quarter turns."""


@pytest.mark.parametrize("init", ["search", "dicom", "pose"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_the_header_turns_what_is_not_a_given_pose(
    monkeypatch: pytest.MonkeyPatch, init: str, mirrored: bool, quarters: int
) -> None:
    """Columns run to the left and rows to the back in the view that starts; then by a quarter more.

    A mirrored image has its columns the other way.
    """
    asked = started(monkeypatch, search=[0.0], dicom=[0.0], pose=[0.0])
    columns, rows = list(TURNED)[quarters]
    header = {"L": "R", "R": "L", "A": "P", "P": "A"}[columns] if mirrored else columns, rows
    solved(Asked(init=init, views=(seen(header), seen())), Ground(torch.ones_like))
    turns = [start[0, :2, :2].tolist() for _, start in asked]
    right = list(TURNED.values())
    as_said, quarter_more = right[quarters], right[(quarters + 1) % 4]
    first = {"search": [], "dicom": [as_said], "pose": [right[0]]}[init]
    assert turns == [*first, as_said, quarter_more]


@pytest.mark.parametrize("header", [None, ("L", "X"), ("A", "H")])
def test_a_header_that_tells_nothing_turns_nothing(
    monkeypatch: pytest.MonkeyPatch, header: tuple[str, str] | None
) -> None:
    """Along the rays lies neither the columns' nor the rows' direction."""
    asked = started(monkeypatch, search=[0.0])
    solved(Asked(init="search", views=(seen(header),) * 2), Ground(torch.ones_like))
    (_, first), (_, second) = asked
    assert torch.equal(first, at(0.0)[0])
    assert torch.equal(second, QUARTER @ first)


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
