from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import wsreg.training.segmentation as training
from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.segmentation.checkpoint import read_card, read_weights
from wsreg.segmentation.medsam import MedSam
from wsreg.segmentation.segmenter import load_segmenter
from wsreg.training.config import (
    TrainingConfig,
    disturbed_share,
    learning_rate,
    paper_config,
    size_at,
    small_config,
)
from wsreg.training.data import TrainingData, at_size, batch_at, load_training_data

TINY = TrainingConfig(
    size_px=32, channels=(4, 8), batch=2, steps=6, save_every=2, rendered_per_specimen=3
)


@pytest.fixture(scope="module")
def data(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    def by_specimen(name: str) -> list[Sample]:
        return [dataclasses.replace(sample, specimen=name) for sample in samples]

    return load_training_data(
        by_specimen, ("a", "b"), ("b",), TINY, tmp_path_factory.mktemp("cache"), "abc"
    )


def test_data_is_split_by_specimen(data: TrainingData) -> None:
    assert data.roi_names == ("left-hemipelvis", "left-femur", "right-femur")
    assert data.xrays.shape == (2, 32, 32)
    assert data.held_out[0].shape == (2, 32, 32)
    seen = data.xray_counts.any(dim=(2, 3))
    assert seen.tolist() == [[True, True, True], [True, True, False]]
    assert len(data.layers) == 1


def test_what_cannot_be_held_out_is_said(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"specimens of the data set a, got 'z'"):
        load_training_data(lambda name: samples, ("a",), ("z",), TINY, tmp_path, "")
    with pytest.raises(InputError, match="leaves no specimen"):
        load_training_data(lambda name: samples, ("a",), ("a",), TINY, tmp_path, "")


def test_a_batch_follows_from_seed_and_step(data: TrainingData) -> None:
    first, again = batch_at(data, TINY, 3, 0.8), batch_at(data, TINY, 3, 0.8)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], batch_at(data, TINY, 4, 0.8)[0])
    images, masks, counts = first
    assert images.shape == (2, 1, 32, 32)
    assert masks.shape == (2, 3, 32, 32)
    assert counts.shape == (2, 3, 32, 32)


def test_a_killed_run_ends_with_the_same_weights(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.train_segmentation(data, TINY, tmp_path / "whole")

    class KilledError(Exception):
        pass

    def kill(stage: str, done: int, total: int) -> None:
        if done == 3:  # a step after the state of step 2
            raise KilledError

    with pytest.raises(KilledError):
        training.train_segmentation(data, TINY, tmp_path / "cut", progress=kill)
    card = training.train_segmentation(data, TINY, tmp_path / "cut")
    assert card.step == 6
    whole, cut = read_weights(tmp_path / "whole"), read_weights(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    for name in whole:
        assert torch.equal(whole[name], cut[name]), name
    log = (tmp_path / "cut" / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in log] == ["step", "2", "4", "6"]


def test_a_run_that_is_out_of_time_stops_at_a_state_and_goes_on(
    data: TrainingData, tmp_path: Path
) -> None:
    assert training.train_segmentation(data, TINY, tmp_path, minutes=0.0).step == 2
    assert training.train_segmentation(data, TINY, tmp_path, minutes=0.0).step == 4
    assert training.train_segmentation(data, TINY, tmp_path).step == 6


@pytest.mark.usefixtures("tiny_sam")
def test_a_medsam_from_scratch_says_so(data: TrainingData, tmp_path: Path) -> None:
    config = dataclasses.replace(TINY, architecture="medsam", steps=2)
    card = training.train_segmentation(data, config, tmp_path)
    assert card == read_card(tmp_path)
    assert (card.kind, card.from_scratch, card.size_px) == ("medsam", True, 32)
    boxes = torch.tensor([4.0, 4.0, 20.0, 20.0]).expand(3, 4)
    assert load_segmenter(tmp_path).probabilities(data.xrays[:1, None], boxes).shape == (
        1, 3, 32, 32,
    )  # fmt: skip


def test_a_loss_that_is_not_finite_ends_the_training(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training.roi_loss
    monkeypatch.setattr(training, "roi_loss", lambda *a: real(*a) * math.nan)
    with pytest.raises(InputError, match="diverged: the loss is nan at step 0"):
        training.train_segmentation(data, TINY, tmp_path)
    assert not (tmp_path / "model.json").exists()


def test_a_state_of_other_settings_is_refused(data: TrainingData, tmp_path: Path) -> None:
    training.train_segmentation(data, dataclasses.replace(TINY, steps=2), tmp_path)
    with pytest.raises(InputError, match="other settings or data"):
        training.train_segmentation(data, dataclasses.replace(TINY, steps=4), tmp_path)


def test_a_state_that_began_from_other_weights_is_refused(
    data: TrainingData, tiny_sam: dict[str, Any], tmp_path: Path
) -> None:
    config = dataclasses.replace(TINY, architecture="medsam", steps=2)
    training.train_segmentation(data, config, tmp_path / "run")
    MedSam(tiny_sam).sam.save_pretrained(tmp_path / "weights")
    with pytest.raises(InputError, match="other settings or data"):
        training.train_segmentation(
            data, config, tmp_path / "run", medsam_weights=tmp_path / "weights"
        )


def test_a_model_trained_before_is_where_another_training_begins(
    data: TrainingData, tmp_path: Path
) -> None:
    config = dataclasses.replace(TINY, steps=2)
    training.train_segmentation(data, config, tmp_path / "first")
    still = dataclasses.replace(config, learning_rate=0.0, weight_decay=0.0)
    training.train_segmentation(data, still, tmp_path / "on", begin_with=tmp_path / "first")
    first, on = read_weights(tmp_path / "first"), read_weights(tmp_path / "on")
    learnt = [name for name in first if name.endswith("conv.weight")]
    assert learnt
    assert all(torch.equal(first[name], on[name]) for name in learnt)
    seen = dataclasses.replace(data, held_out_names=("a",))
    with pytest.raises(InputError, match=r"must not have seen .* it was trained on a"):
        training.train_segmentation(seen, config, tmp_path / "b", begin_with=tmp_path / "first")
    other = dataclasses.replace(data, roi_names=("x", "y", "z"))
    with pytest.raises(InputError, match="must be a unet for x, y, z to begin with, got a unet"):
        training.train_segmentation(other, config, tmp_path / "c", begin_with=tmp_path / "first")


def test_a_damaged_state_is_said(data: TrainingData, tmp_path: Path) -> None:
    config = dataclasses.replace(TINY, steps=2)
    training.train_segmentation(data, config, tmp_path)
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-9])
    with pytest.raises(InputError, match="is damaged"):
        training.train_segmentation(data, config, tmp_path)


def test_the_checkpoint_says_what_it_is_and_segments(data: TrainingData, tmp_path: Path) -> None:
    training.train_segmentation(data, dataclasses.replace(TINY, steps=2), tmp_path)
    card = read_card(tmp_path)
    assert (card.kind, card.size_px, card.held_out, card.data_sha256) == ("unet", 32, ("b",), "abc")
    assert 0.0 <= card.metrics["dice"] <= 1.0
    segmenter = load_segmenter(tmp_path)
    image = data.xrays[:1, None].clone().requires_grad_(True)
    found = segmenter.probabilities(image)
    assert found.shape == (1, 3, 32, 32)
    found.sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_the_loss_is_small_for_the_truth_and_ignores_the_unknown(output: str) -> None:
    target = torch.zeros(1, 2, 8, 8)
    target[0, 0, :4] = 1.0
    target[0, 1, 4:6] = 1.0
    sure = 20.0 * (2.0 * target - 1.0)
    if output == "softmax":
        background = 20.0 * (2.0 * (target.sum(dim=1, keepdim=True) == 0).float() - 1.0)
        sure = torch.cat((background, sure), dim=1)
    known = torch.ones(1, 2, 8, 8, dtype=torch.bool)
    assert training.roi_loss(sure, target, known, output) < 1e-3  # type: ignore[arg-type]
    assert training.roi_loss(-sure, target, known, output) > 1.0  # type: ignore[arg-type]
    if output == "sigmoid":
        wrong = sure.clone()
        wrong[:, 1] *= -1.0
        half = known.clone()
        half[:, 1] = False
        assert training.roi_loss(wrong, target, half, "sigmoid") < 1e-3


def test_images_grow_harder_until_half_of_the_training_is_done() -> None:
    config = dataclasses.replace(TINY, steps=100)
    shares = [disturbed_share(config, step) for step in (0, 25, 50, 99)]
    assert shares == pytest.approx([0.0, 0.25, 0.5, 0.5])


def test_the_first_steps_see_coarser_pixels(data: TrainingData) -> None:
    config = dataclasses.replace(TINY, steps=9, coarse_px=16)
    assert [size_at(config, step) for step in range(9)] == [16] * 6 + [32] * 3
    assert size_at(TINY, 0) == 32
    assert small_config().coarse_px == 64
    assert small_config(architecture="medsam").coarse_px == 0


def test_coarser_pixels_are_means_and_majorities() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    mask = image < 5.0
    images, masks, counts = at_size(image, mask.float(), ~mask, 2)
    assert images.tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert masks.tolist() == [[[[1.0, 0.0], [0.0, 0.0]]]]  # two of four are no majority
    assert counts.tolist() == [[[[False, False], [True, True]]]]
    assert at_size(image, mask.float(), ~mask, 4)[0] is image


def test_learning_rates() -> None:
    config = dataclasses.replace(TINY, steps=100, learning_rate=1.0)
    assert learning_rate(config, 0) == pytest.approx(0.2)
    assert learning_rate(config, 5) == pytest.approx(1.0)
    assert learning_rate(config, 99) < 0.01
    paper = paper_config(xrays=20)
    assert paper.learning_rate == 0.1
    assert paper.optimiser == "adam"
    assert paper.steps == 500 * math.ceil(20 / 8)
    assert learning_rate(paper, 1000) == 0.1
    medsam = paper_config(xrays=20, architecture="medsam")
    assert (medsam.optimiser, medsam.learning_rate, medsam.steps) == ("adamw", 1e-3, 1200)


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="multiple of 32"):
        TrainingConfig(size_px=100)
    with pytest.raises(InputError, match="at least 1"):
        dataclasses.replace(TINY, steps=0)
    with pytest.raises(InputError, match="learning_rate must be finite"):
        dataclasses.replace(TINY, learning_rate=-1.0)
    with pytest.raises(InputError, match="output of a MedSAM must be sigmoid"):
        dataclasses.replace(TINY, architecture="medsam", output="softmax")


def test_a_gpu_that_is_absent_is_said(data: TrainingData, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(InputError, match="needs a GPU"):
        training.train_segmentation(data, TINY, tmp_path, accelerator="cuda")
