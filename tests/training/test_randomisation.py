from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from wsreg.training.randomisation import (
    Randomisation,
    composed,
    disturbed,
    sample_randomisation,
)

PLAIN = Randomisation(attenuation=(1.0, 1.0))


@pytest.fixture
def ramp() -> torch.Tensor:
    return torch.linspace(0.0, 4.0, 32)[None, :].expand(32, 32).clone()


def test_factors_weigh_the_layers() -> None:
    layers = torch.stack((torch.full((2, 2), 3.0), torch.full((2, 2), 5.0)))
    image = composed(layers, dataclasses.replace(PLAIN, attenuation=(0.5, 2.0)))
    assert image.tolist() == [[11.5, 11.5], [11.5, 11.5]]


def test_nothing_drawn_changes_only_the_scale(ramp: torch.Tensor) -> None:
    grey = disturbed(ramp, PLAIN)
    assert torch.corrcoef(torch.stack((grey.flatten(), ramp.flatten())))[0, 1] > 0.99


def test_inversion_turns_bright_to_dark(ramp: torch.Tensor) -> None:
    grey = disturbed(ramp, dataclasses.replace(PLAIN, inverted=True))
    assert grey[0, 0] > grey[0, -1]


def test_a_collimator_a_box_and_a_rod_are_where_they_are_drawn(ramp: torch.Tensor) -> None:
    plain = disturbed(ramp, PLAIN)
    round_field = disturbed(ramp, dataclasses.replace(PLAIN, collimator=(0.5, 0.5, 0.4, 0.0)))
    assert round_field[0, 0] == 4.0
    assert round_field[16, 16] == plain[16, 16]
    box = disturbed(ramp, dataclasses.replace(PLAIN, boxes=((0.0, 0.0, 0.25, 0.25, -1.0),)))
    assert (box[1:7, 1:7] == -1.0).all()
    assert box[16, 16] == plain[16, 16]
    rod = disturbed(ramp, dataclasses.replace(PLAIN, rods=((0.5, 0.5, 0.0, 0.03, 0.3, 1.0),)))
    assert rod[16, 16] > plain[16, 16] + 0.9
    assert rod[2, 2] == plain[2, 2]


def test_the_same_generator_draws_the_same() -> None:
    first, second = (sample_randomisation(np.random.default_rng(5), 7) for _ in range(2))
    assert first == second
    assert len(first.attenuation) == 7
    assert all(0.1 <= factor <= 4.0 for factor in first.attenuation)


def test_noise_follows_its_seed(ramp: torch.Tensor) -> None:
    noisy = dataclasses.replace(PLAIN, noise=0.1, seed=3)
    assert torch.equal(disturbed(ramp, noisy), disturbed(ramp, noisy))
    assert not torch.equal(
        disturbed(ramp, noisy), disturbed(ramp, dataclasses.replace(noisy, seed=4))
    )
