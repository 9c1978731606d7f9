from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from wsreg.errors import InputError
from wsreg.networks.medsam import MedSam
from wsreg.networks.unet import UNet
from wsreg.training.segmentation_config import SegmentationConfig
from wsreg.training.segmentation_networks import (
    network_config,
    network_scores,
    new_network,
    prompt_boxes,
)

UNET = SegmentationConfig(size_px=32, channels=(4, 8))
MEDSAM = dataclasses.replace(UNET, architecture="medsam")


def test_a_network_can_be_made_again_from_its_config(tiny_sam: dict[str, Any]) -> None:
    unet = new_network(UNET, 2, None)
    assert isinstance(unet, UNet)
    assert network_config(unet) == {"channels": [4, 8], "output": "sigmoid"}
    sam = MedSam(tiny_sam)
    again = MedSam(network_config(sam))
    assert [p.shape for p in sam.parameters()] == [p.shape for p in again.parameters()]


def test_medsam_without_weights_is_trained_as_a_whole_and_with_them_only_its_decoder(
    tmp_path: Path, tiny_sam: dict[str, Any]
) -> None:
    scratch = new_network(MEDSAM, 2, None)
    assert all(p.requires_grad for p in scratch.parameters())
    MedSam(tiny_sam).sam.save_pretrained(tmp_path)
    loaded = new_network(MEDSAM, 2, tmp_path)
    assert not all(p.requires_grad for p in loaded.parameters())


def test_medsam_weights_need_medsam(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="architecture medsam, got unet"):
        new_network(UNET, 2, tmp_path)


def test_medsam_is_asked_with_boxes_around_the_truth_that_are_a_little_off(
    tiny_sam: dict[str, Any],
) -> None:
    torch.manual_seed(0)
    model = MedSam(tiny_sam).eval()
    images = torch.rand(1, 1, 32, 32)
    masks = torch.zeros(1, 2, 32, 32)
    masks[0, 0, 8:20, 10:22] = 1.0
    boxes = prompt_boxes(MEDSAM, masks, 1)
    assert boxes.shape == (1, 2, 4)
    assert (boxes[0, 0] - torch.tensor([10.0, 8.0, 21.0, 19.0])).abs().max() <= 32 * 10 / 1024
    assert bool(boxes[0, 1].isnan().all())
    assert torch.equal(boxes.nan_to_num(), prompt_boxes(MEDSAM, masks, 1).nan_to_num())
    first = network_scores(model, MEDSAM, images, boxes)
    assert first.shape == (1, 2, 32, 32)
    assert float(first[0, 1].detach().max()) < -10.0
    assert not torch.equal(first, network_scores(model, MEDSAM, images, boxes + 1.0))
