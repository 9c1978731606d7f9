from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from wsreg.datasets.sample import Sample
from wsreg.rendering.render import render
from wsreg.training.layers import Layers, cached_layers, layers_at, render_layers, true_masks
from wsreg.volumes.volume import Volume

LABELS = (1, 5, 6)


def test_layers_sum_to_the_whole_image(samples: list[Sample]) -> None:
    sample = samples[0]
    parts = [sample.volume.restricted_to((label,)) for label in LABELS]
    pose = sample.camera_from_ct
    layers, masks = layers_at(sample.volume, parts, LABELS, sample.camera, pose, [pose] * 3)
    torch.testing.assert_close(layers.sum(dim=0), sample.radiograph.image, rtol=1e-3, atol=1e-3)
    assert (layers >= 0).all()
    for layer, mask in zip(layers[1:], masks, strict=True):
        assert mask.any()
        assert (layer[mask] > 0).all()
        assert not (layer[~mask] > 0.2).any()


def test_true_masks_are_the_silhouettes_and_say_what_is_unknown(samples: list[Sample]) -> None:
    masks, known = true_masks(samples[1], LABELS)
    assert known.tolist() == [True, True, False]
    path_mm = render(
        samples[1].volume, samples[1].camera, samples[1].camera_from_ct[None], rois=[(1,)]
    )[0, 1]
    assert torch.equal(masks[0], path_mm > 1.0)
    assert not masks[2].any()


def test_the_same_seed_renders_the_same_and_femurs_move(samples: list[Sample]) -> None:
    first, second = (render_layers(samples, LABELS, 3, 32, seed=4) for _ in range(2))
    assert torch.equal(first.attenuation, second.attenuation)
    assert torch.equal(first.masks, second.masks)
    assert first.attenuation.shape == (3, 4, 32, 32)
    assert first.masks.shape == (3, 3, 32, 32)


def test_layers_are_made_once_for_each_source(tmp_path: Path, samples: list[Sample]) -> None:
    calls = []

    def make() -> Layers:
        calls.append(1)
        return render_layers(samples, LABELS, 1, 32, seed=len(calls))

    path = tmp_path / "layers" / "a.safetensors"
    made = cached_layers(path, "first", make)
    read = cached_layers(path, "first", make)
    assert len(calls) == 1
    assert torch.equal(made.masks, read.masks)
    assert torch.equal(made.attenuation, read.attenuation)
    other = cached_layers(path, "second", make)
    assert len(calls) == 2
    assert not torch.equal(other.attenuation, made.attenuation)
    path.write_bytes(path.read_bytes()[:-9])  # cut off
    cached_layers(path, "second", make)
    assert len(calls) == 3


def test_what_a_ct_lacks_is_a_region_that_is_not_there(samples: list[Sample]) -> None:
    labels = (1, 7)
    masks, known = true_masks(samples[0], labels)
    assert known.tolist() == [True, False]
    assert not masks[1].any()
    layers = render_layers(samples, labels, 1, 32, seed=0)
    assert layers.masks[0, 0].any()
    assert not layers.masks[0, 1].any()
    assert not layers.attenuation[0, 2].any()


def test_a_femur_is_known_by_its_name(samples: list[Sample], volume: Volume) -> None:
    names = {1: "left-hemipelvis", 5: "vertebrae", 6: "femur_right"}
    renamed = dataclasses.replace(volume, label_names=names)
    sample = dataclasses.replace(
        samples[1], volume=renamed, poses={"pelvis": samples[1].camera_from_ct}
    )
    assert true_masks(sample, LABELS)[1].tolist() == [True, True, False]
