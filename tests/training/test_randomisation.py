from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from wsreg.training.randomisation import (
    Randomisation,
    augment_geometry,
    augment_intensity,
    mirror_partners,
    mix_layers,
    open_field,
    sample_randomisation,
)

PLAIN = Randomisation(attenuation=(1.0, 1.0))


@pytest.fixture
def ramp() -> torch.Tensor:
    return torch.linspace(0.0, 4.0, 32)[None, :].expand(32, 32).clone()


def test_factors_weigh_the_layers() -> None:
    layers = torch.stack((torch.full((2, 2), 3.0), torch.full((2, 2), 5.0)))
    image = mix_layers(layers, dataclasses.replace(PLAIN, attenuation=(0.5, 2.0)))
    assert image.tolist() == [[11.5, 11.5], [11.5, 11.5]]


def test_nothing_drawn_changes_only_the_scale(ramp: torch.Tensor) -> None:
    grey = augment_intensity(ramp, PLAIN)
    assert torch.corrcoef(torch.stack((grey.flatten(), ramp.flatten())))[0, 1] > 0.99


def test_inversion_turns_bright_to_dark(ramp: torch.Tensor) -> None:
    grey = augment_intensity(ramp, dataclasses.replace(PLAIN, inverted=True))
    assert grey[0, 0] > grey[0, -1]


def test_a_collimator_a_box_and_a_rod_are_where_they_are_drawn(ramp: torch.Tensor) -> None:
    plain = augment_intensity(ramp, PLAIN)
    behind_a_circle = dataclasses.replace(PLAIN, collimator=(0.5, 0.5, 0.4, 0.0))
    round_field = augment_intensity(ramp, behind_a_circle)
    assert round_field[0, 0] == 4.0
    assert round_field[16, 16] == plain[16, 16]
    assert torch.equal(round_field == 4.0, ~open_field(behind_a_circle, 32))
    box = augment_intensity(ramp, dataclasses.replace(PLAIN, boxes=((0.0, 0.0, 0.25, 0.25, -1.0),)))
    assert (box[1:7, 1:7] == -1.0).all()
    assert box[16, 16] == plain[16, 16]
    rod = augment_intensity(
        ramp, dataclasses.replace(PLAIN, rods=((0.5, 0.5, 0.0, 0.03, 0.3, 1.0),))
    )
    assert rod[16, 16] > plain[16, 16] + 0.9
    assert rod[2, 2] == plain[2, 2]


def test_the_same_generator_draws_the_same() -> None:
    first, second = (sample_randomisation(np.random.default_rng(5), 7) for _ in range(2))
    assert first == second
    assert len(first.attenuation) == 7
    assert all(0.1 <= factor <= 4.0 for factor in first.attenuation)


def test_as_many_are_turned_and_inverted_as_asked_for() -> None:
    generator = np.random.default_rng(0)
    drawn = [
        sample_randomisation(generator, 2, 0.5, turned_fraction=0.3, inverted_fraction=1.0)
        for _ in range(400)
    ]
    turned = sum(abs(r.turn_rad) > 1.0 for r in drawn) / 400
    inverted = sum(r.inverted for r in drawn) / 400
    assert turned == pytest.approx(0.3, abs=0.07)
    assert inverted == pytest.approx(0.5, abs=0.08)  # of the half with other intensities
    never = [sample_randomisation(generator, 2, turned_fraction=0.0) for _ in range(50)]
    assert not any(abs(r.turn_rad) > 1.0 for r in never)


def test_noise_follows_its_seed(ramp: torch.Tensor) -> None:
    noisy = dataclasses.replace(PLAIN, noise=0.1, seed=3)
    assert torch.equal(augment_intensity(ramp, noisy), augment_intensity(ramp, noisy))
    assert not torch.equal(
        augment_intensity(ramp, noisy), augment_intensity(ramp, dataclasses.replace(noisy, seed=4))
    )


def test_images_that_are_not_disturbed_are_only_augment_geometry() -> None:
    draw = sample_randomisation(np.random.default_rng(5), 7, augmented_fraction=0.0)
    assert draw.attenuation == (1.0,) * 7
    assert (draw.gamma, draw.noise, draw.inverted, draw.collimator) == (1.0, 0.0, False, None)
    assert draw.zoom != 1.0


def test_image_and_masks_are_moved_alike(ramp: torch.Tensor) -> None:
    masks = torch.stack((ramp < 1.0, ramp.T < 1.0))
    seen = torch.ones_like(masks)
    image, found, valid = augment_geometry(ramp, masks, seen, PLAIN, (0, 1))
    assert torch.allclose(image, ramp, atol=1e-5)
    assert torch.equal(found, masks)
    assert bool(valid.all())
    image, found, valid = augment_geometry(
        ramp, masks, seen, dataclasses.replace(PLAIN, turn_rad=np.pi), (0, 1)
    )
    assert torch.allclose(image, ramp.flip(0, 1), atol=1e-5)
    assert torch.equal(found, masks.flip(1, 2))
    shifted = dataclasses.replace(PLAIN, shift=(0.25, 0.0))
    image, found, valid = augment_geometry(ramp, masks, seen, shifted, (0, 1))
    assert torch.allclose(image[:, 8:], ramp[:, :-8], atol=1e-5)
    assert torch.equal(found[..., 8:], masks[..., :-8])
    assert not bool(valid[..., :8].any())
    assert bool(valid[..., 8:].all())
    magnified = augment_geometry(ramp, masks, seen, dataclasses.replace(PLAIN, zoom=2.0), (0, 1))[0]
    assert torch.allclose(
        magnified[:, 16:18], ramp[:, 16:17] - ramp[0, 1] * torch.tensor([0.25, -0.25]), atol=1e-4
    )


def test_a_mirror_makes_left_of_right(ramp: torch.Tensor) -> None:
    names = ("left-femur", "vertebrae", "right-femur", "hip_left")
    partners = mirror_partners(names)
    assert partners == (2, 1, 0, 3)
    masks = torch.stack((ramp < 1.0, ramp.T < 1.0, ramp > 3.5, ramp > 3.0))
    seen = torch.ones_like(masks)
    mirror = dataclasses.replace(PLAIN, mirrored=True)
    image, found, _ = augment_geometry(ramp, masks, seen, mirror, partners)
    assert torch.allclose(image, ramp.flip(1), atol=1e-5)
    assert torch.equal(found[0], masks[2].flip(1))
    assert torch.equal(found[1], masks[1].flip(1))
    assert torch.equal(found[2], masks[0].flip(1))
