from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import wsreg.training.segmentation as training
from wsreg.errors import InputError
from wsreg.files.tensor_file import read_tensors, write_tensors
from wsreg.networks.checkpoint import ModelCard, read_card, read_weights
from wsreg.networks.medsam import MedSam
from wsreg.segmentation.segmenter import load_segmenter
from wsreg.training.config import FitConfig
from wsreg.training.fit import fit
from wsreg.training.segmentation_config import SegmentationConfig
from wsreg.training.segmentation_data import SegmentationData
from wsreg.training.state import STATE_FILE

TINY = SegmentationConfig(
    size_px=32,
    channels=(4, 8),
    rendered_per_specimen=3,
    fit=FitConfig(batch=2, steps=6, save_every=2),
)


def steps(count: int) -> SegmentationConfig:
    return dataclasses.replace(TINY, fit=dataclasses.replace(TINY.fit, steps=count))


def train(
    data: SegmentationData,
    config: SegmentationConfig,
    folder: Path,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    **first_weights: Path,
) -> ModelCard:
    task = training.segmentation_task(data, config, **first_weights)
    return fit(task, folder, progress=progress)


def test_a_killed_run_ends_with_the_same_weights(
    data: SegmentationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(data, TINY, tmp_path / "whole")

    class KilledError(Exception):
        pass

    def kill(stage: str, done: int, total: int) -> None:
        if done == 3:  # a step after the state of step 2
            raise KilledError

    with pytest.raises(KilledError):
        train(data, TINY, tmp_path / "cut", progress=kill)
    card = train(data, TINY, tmp_path / "cut")
    assert card.step == 6
    whole, cut = read_weights(tmp_path / "whole"), read_weights(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    for name in whole:
        assert torch.equal(whole[name], cut[name]), name
    log = (tmp_path / "cut" / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in log] == ["step", "2", "4", "6"]


@pytest.mark.usefixtures("tiny_sam")
def test_a_medsam_from_scratch_says_so(data: SegmentationData, tmp_path: Path) -> None:
    config = dataclasses.replace(steps(2), architecture="medsam")
    card = train(data, config, tmp_path)
    assert card == read_card(tmp_path)
    assert (card.kind, card.from_scratch, card.size_px) == ("medsam", True, 32)
    boxes = torch.tensor([4.0, 4.0, 20.0, 20.0]).expand(3, 4)
    assert load_segmenter(tmp_path).probabilities(data.xrays[:1, None], boxes).shape == (
        1, 3, 32, 32,
    )  # fmt: skip


def test_a_loss_that_is_not_finite_ends_the_training(
    data: SegmentationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training.roi_loss
    monkeypatch.setattr(training, "roi_loss", lambda *a: real(*a) * math.nan)
    with pytest.raises(InputError, match="diverged: the loss is nan at step 0"):
        train(data, TINY, tmp_path)
    assert not (tmp_path / "model.json").exists()


def test_a_state_that_began_from_other_weights_is_refused(
    data: SegmentationData, tiny_sam: dict[str, Any], tmp_path: Path
) -> None:
    config = dataclasses.replace(steps(2), architecture="medsam")
    train(data, config, tmp_path / "run")
    MedSam(tiny_sam).sam.save_pretrained(tmp_path / "weights")
    with pytest.raises(InputError, match="other settings or data"):
        train(data, config, tmp_path / "run", medsam_weights=tmp_path / "weights")


def test_a_model_trained_before_is_where_another_training_begins(
    data: SegmentationData, tmp_path: Path
) -> None:
    config = steps(2)
    train(data, config, tmp_path / "first")
    frozen = FitConfig(batch=2, steps=2, save_every=2, learning_rate=0.0, weight_decay=0.0)
    still = dataclasses.replace(config, fit=frozen)
    train(data, still, tmp_path / "on", begin_with=tmp_path / "first")
    first, on = read_weights(tmp_path / "first"), read_weights(tmp_path / "on")
    learnt = [name for name in first if name.endswith("conv.weight")]
    assert learnt
    assert all(torch.equal(first[name], on[name]) for name in learnt)
    seen = dataclasses.replace(data, held_out_names=("a",))
    with pytest.raises(InputError, match=r"must not have seen .* it was trained on a"):
        train(seen, config, tmp_path / "b", begin_with=tmp_path / "first")
    other = dataclasses.replace(data, roi_names=("x", "y", "z"))
    with pytest.raises(InputError, match="must be a unet for x, y, z to begin with, got a unet"):
        train(other, config, tmp_path / "c", begin_with=tmp_path / "first")


def test_the_checkpoint_says_what_it_is_and_segments(
    data: SegmentationData, tmp_path: Path
) -> None:
    train(data, steps(2), tmp_path)
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


def test_a_sliver_that_is_missed_costs_as_much_as_a_bone() -> None:
    target = torch.zeros(2, 1, 20, 20)
    target[0, 0, :, :10] = 1.0  # 200 pixels
    target[1, 0, 0, :2] = 1.0  # 2 pixels
    known = torch.ones(2, 1, 20, 20, dtype=torch.bool)
    right = 30.0 * (2.0 * target - 1.0)
    missed = right.clone()
    missed[1] = -30.0
    entropy = 30.0 * 2 / 800
    dice = (1.0 + (2.0 * 0 + 1.0) / (2.0 + 1.0)) / 2  # of the two images
    loss = training.roi_loss(missed, target, known, "sigmoid")
    assert float(loss) == pytest.approx(entropy + 1.0 - dice, abs=1e-4)


def test_a_state_written_under_an_older_name_goes_on(
    data: SegmentationData, tmp_path: Path
) -> None:
    fit(training.segmentation_task(data, TINY), tmp_path, minutes=0.0)
    tensors, note = read_tensors(tmp_path / STATE_FILE)
    older = note["signature"].replace("xray_fraction", "xray_share")
    assert older != note["signature"]
    write_tensors(tmp_path / STATE_FILE, tensors, {**note, "signature": older})
    other = dataclasses.replace(TINY, xray_fraction=0.5)
    with pytest.raises(InputError, match=r"\(xray_fraction is"):
        train(data, other, tmp_path)
    assert train(data, TINY, tmp_path).step == 6


def test_dice_of_hard_masks_by_hand() -> None:
    masks = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    masks[0, 0, 0] = True  # two pixels; the second region is not there
    found = torch.ones(1, 2, 2, 2, dtype=torch.bool)
    valid = torch.ones(1, 2, 2, 2, dtype=torch.bool)
    dice = training.hard_dice(found, masks, valid)
    assert float(dice[0, 0]) == pytest.approx(2 * 2 / (4 + 2))
    assert math.isnan(float(dice[0, 1]))
    valid[0, 0, 1] = False  # what was wrong is not looked at
    assert float(training.hard_dice(found, masks, valid)[0, 0]) == 1.0
