"""The paper's loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from wsreg.registration.adam import AdamConfig, minimise_adam

from wsreg.geometry.rigid import perturb

START = torch.eye(4, dtype=torch.float64)


def move(pose: Tensor, step: Tensor) -> Tensor:
    return perturb(pose, step, torch.zeros(3, dtype=torch.float64))


def test_the_papers_settings_are_the_defaults() -> None:
    config = AdamConfig()
    assert (config.steps, config.rotation_rate_rad, config.translation_rate_mm) == (
        250,
        7.5e-3,
        7.5,
    )


def test_it_approaches_the_minimum() -> None:
    target = torch.tensor([10.0, -20.0, 5.0], dtype=torch.float64)
    found = minimise_adam(
        lambda pose: (pose[:3, 3] - target).square().sum(), move, START, AdamConfig()
    )
    torch.testing.assert_close(found.camera_from_ct[:3, 3], target, atol=0.1, rtol=0)
    assert found.start_value == pytest.approx(525.0)
    assert found.iterations == 250


def test_the_best_iterate_is_kept_not_the_last() -> None:
    calls = []

    def loss(pose: Tensor) -> Tensor:
        calls.append(pose.detach().clone())
        worsening = 1.0 if len(calls) == 3 else 10.0 + len(calls)
        return worsening + 0.0 * pose.sum()

    found = minimise_adam(loss, move, START, AdamConfig(steps=8))
    assert found.value == 1.0
    assert torch.equal(found.camera_from_ct, calls[2])


def test_it_stops_where_the_loss_is_not_finite() -> None:
    found = minimise_adam(lambda pose: pose[0, 3] * torch.nan, move, START, AdamConfig(steps=8))
    assert torch.equal(found.camera_from_ct, START)
    assert found.iterations == 0
