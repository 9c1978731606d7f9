"""Landscapes made by hand for the solver: a bone that slides along x."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration import attempts as attempts_module
from wsreg.registration.attempts import Attempt, attempts
from wsreg.registration.clock import Clock
from wsreg.registration.config import LevelConfig, RegistrationConfig
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


class Flat:
    """A level that is flat to the solver, so that states stay; what it refines is put down."""

    refined: list[list[float]]

    def loss(self, states: Tensor) -> Tensor:
        raise NotImplementedError

    def linearize(self, states: Tensor) -> QuadraticModel:
        self.refined.append(states[:, 0, 0, 3].tolist())
        zero = torch.zeros(len(states), 6, dtype=torch.float64)
        return QuadraticModel(
            value=self.loss(states), gradient=zero, normal_matrix=torch.diag_embed(zero + 1.0)
        )

    def move(self, states: Tensor, steps: Tensor) -> Tensor:
        return states


@dataclass(frozen=True, eq=False)
class Ground(Flat):
    """A flat level whose loss of x mm is given.

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
