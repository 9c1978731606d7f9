"""Crossing views know their distances: fitted from wrong ones, left alone where right, and said."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, perturb, rigid, transform_points
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.distances import Distances, fitted_distances, with_distances
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.readings import Reading
from wsreg.registration.register import register
from wsreg.simulation.joseph import project_attenuation
from wsreg.volumes.volume import Volume


def with_cameras(level: Level, fraction: float) -> Level:
    """The level as if its cameras had been given with distances so many times the true ones."""
    return with_distances(level, torch.full((len(level.views),), fraction, dtype=torch.float64))


@pytest.mark.parametrize("fraction", [1.02, 0.96])
def test_wrong_distances_are_found(
    pair: Problem, pair_level: Level, true_state: Tensor, fraction: float
) -> None:
    reading = Reading(problem=pair, levels=[with_cameras(pair_level, fraction)])
    found = fitted_distances(reading, true_state)
    assert found is not None
    torch.testing.assert_close(
        found.fractions, torch.full_like(found.fractions, 1.0 / fraction), atol=4e-3, rtol=0
    )
    assert found.loss_after < 0.7 * found.loss_before
    assert found.clear


def test_right_distances_stay(pair: Problem, pair_level: Level, true_state: Tensor) -> None:
    found = fitted_distances(Reading(problem=pair, levels=[pair_level]), true_state)
    assert found is not None
    torch.testing.assert_close(found.fractions, torch.ones_like(found.fractions), atol=4e-3, rtol=0)
    assert not found.clear


@pytest.mark.parametrize(
    ("fraction", "deviation", "after", "clear"),
    [
        (1.05, 0.001, 0.9, True),
        (1.009, 0.001, 0.9, False),  # under a percent
        (1.05, 0.02, 0.9, False),  # not sure
        (1.05, 0.001, 0.98, False),  # hardly better
    ],
)
def test_what_is_clear(fraction: float, deviation: float, after: float, clear: bool) -> None:
    one = Distances(
        fractions=torch.tensor([1.0, fraction], dtype=torch.float64),
        deviations=torch.tensor([deviation] * 2, dtype=torch.float64),
        state=torch.eye(4, dtype=torch.float64)[None],
        loss_before=1.0,
        loss_after=after,
    )
    assert one.clear == clear


def test_a_rig_with_wrong_distances_names_the_right_ones(
    phantom: Volume, camera: Camera, truth: Tensor, quick: RegistrationConfig
) -> None:
    centre = transform_points(truth, phantom.centre_mm[None])[0]
    turn = exp_so3(torch.tensor([0.0, math.radians(80.0), 0.0], dtype=torch.float64))
    side = rigid(turn, centre - turn @ centre)
    xrays = []
    for name, pose in (("ap", truth), ("lateral", side @ truth)):
        image = project_attenuation(phantom, camera, pose)
        image = image + 0.01 * torch.randn(
            image.shape, generator=torch.Generator().manual_seed(len(name))
        )
        mask = torch.ones_like(image, dtype=torch.bool)
        xrays.append(Radiograph(image=image, mask=mask, camera=camera, name=name))
    true_mm = camera.source_to_detector_mm
    wrong = dataclasses.replace(camera, source_to_detector_mm=1.04 * true_mm)
    beside = torch.tensor([0.03, -0.03, 0.03, 4.0, 4.0, 8.0], dtype=torch.float64)
    found = register(
        xrays, phantom, [wrong, wrong], perturb(truth, beside, phantom.centre_mm),
        rig=[torch.eye(4, dtype=torch.float64), side], bodies=None, config=quick,
    )  # fmt: skip
    assert found.verdict.status != "pass"
    fitted = found.config["evidence"]["fitted_distances_mm"]
    assert fitted.keys() == {"ap", "lateral"}
    for distance_mm in fitted.values():
        assert distance_mm == pytest.approx(true_mm, rel=0.01)
    assert any(
        "fit better with source-to-detector distances of" in r for r in found.verdict.reasons
    )
