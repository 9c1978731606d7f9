"""Dice of a network that is told what to find, on an X-ray whose truth is known."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.experiments.dice_scores import dice_of, dice_scores, labels_of, rendering_of, xray_of
from wsreg.experiments.dice_tables import score_from_record, score_to_record
from wsreg.networks.checkpoint import ModelCard
from wsreg.segmentation.segmenter import Segmenter

NAMES = ("front", "back", "tail")
"""The sample's CT has no tail."""


def segmenter(answer: Tensor, kind: str = "unet") -> Segmenter:
    """A network that always finds the same probabilities [R,S,S]."""
    card = ModelCard(kind=kind, config={}, size_px=answer.shape[-1], roi_names=NAMES)
    return Segmenter(
        card=card, network=lambda images, boxes: answer[None].float(), normalise=lambda x: x
    )


@pytest.fixture
def square(sample: Sample) -> Sample:
    return dataclasses.replace(sample, projection="007")


def test_the_truth_itself_has_a_dice_of_one(square: Sample) -> None:
    labels = labels_of(segmenter(torch.zeros(3, 161, 161)), square)
    view = xray_of(square, labels)
    found = dice_of(segmenter(view.masks), view, 0)
    assert found[:2] == [1.0, 1.0]
    assert math.isnan(found[2])  # the truth does not show it
    # The front box is 21 voxels of 2 mm wide, doubled on pixels of 1 mm, from about 780 mm.
    assert int(view.masks[0].any(dim=0).sum()) == pytest.approx(42 * 1600 / 780, abs=3)


def test_half_of_a_region(square: Sample) -> None:
    labels = labels_of(segmenter(torch.zeros(3, 161, 161)), square)
    view = rendering_of(square, labels)
    half = view.masks.clone()
    half[0, :80] = False  # of rows 0 to 160, the middle one stays
    front = dice_of(segmenter(half), view, 0)[0]
    kept, whole = float(half[0].sum()), float(view.masks[0].sum())
    assert front == pytest.approx(2 * kept / (kept + whole))
    assert 0.6 < front < 0.72  # two thirds for exactly a half


def test_boxes_are_those_of_the_truth_and_the_same_each_time(square: Sample) -> None:
    told: list[Tensor | None] = []
    answer = torch.zeros(3, 161, 161)

    def network(images: Tensor, boxes: Tensor | None) -> Tensor:
        told.append(boxes)
        return answer[None]

    medsam = dataclasses.replace(segmenter(answer, "medsam"), network=network)
    view = xray_of(square, labels_of(medsam, square))
    for seed in (7, 7, 8):
        dice_of(medsam, view, seed)
    first, again, other = (boxes[0] for boxes in told if boxes is not None)
    torch.testing.assert_close(first[:2], again[:2])
    assert not torch.equal(first[:2], other[:2])
    columns = view.masks[0].any(dim=0).nonzero()
    truth = torch.tensor([float(columns.min()), float(columns.max())])
    assert (first[0, [0, 2]] - truth).abs().max() <= 161 * 10 / 1024
    assert first[2].isnan().all()


def test_projections_need_no_numbers_as_names(sample: Sample) -> None:
    named = dataclasses.replace(sample, projection="lateral")
    scores = dice_scores("MedSAM", segmenter(torch.ones(3, 161, 161), "medsam"), named)
    assert [one.projection for one in scores] == ["lateral", "lateral"]


def test_both_kinds_of_images(square: Sample) -> None:
    scores = dice_scores("U-Net", segmenter(torch.ones(3, 161, 161)), square)
    assert [(one.images, one.projection) for one in scores] == [("X-rays", "007"),
                                                                ("rendered", "007")]  # fmt: skip
    assert tuple(scores[0].dice) == NAMES
    again = score_from_record(score_to_record(scores[0]))
    assert again.mean == scores[0].mean
    assert math.isnan(again.dice["tail"])
