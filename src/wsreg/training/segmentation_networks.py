"""The networks that learn to find regions, and how each of them is asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.networks.medsam import FROM_SCRATCH, MedSam, load_medsam, windowed
from wsreg.networks.normalisation import normalised
from wsreg.networks.unet import UNet, UNetConfig
from wsreg.segmentation.boxes import boxes_from_masks, jittered_boxes
from wsreg.training.segmentation_config import SegmentationConfig


def new_network(config: SegmentationConfig, rois: int, medsam_weights: Path | None) -> nn.Module:
    """Make a network to train; torch's global generator draws what is not read.

    Args:
        config: settings.
        rois: how many regions it finds.
        medsam_weights: folder of a MedSAM, whose mask decoder alone will be trained; without one,
            a small SAM is trained as a whole.

    Raises:
        InputError: the folder holds no MedSAM, or the architecture has no use for it.
    """
    if config.architecture == "medsam":
        return MedSam(FROM_SCRATCH) if medsam_weights is None else load_medsam(medsam_weights)
    if medsam_weights is not None:
        raise InputError(f"MedSAM weights need the architecture medsam, got {config.architecture}")
    return UNet(UNetConfig(rois=rois, channels=config.channels, output=config.output))


def network_config(network: nn.Module) -> Mapping[str, Any]:
    """Return plain values of a checkpoint from which a network can be made again."""
    if isinstance(network, MedSam):
        return network.config
    assert isinstance(network, UNet)
    return {"channels": list(network.config.channels), "output": network.config.output}


def prompt_boxes(config: SegmentationConfig, masks: Tensor, seed: int) -> Tensor:
    """Return [B,R,4] boxes around true masks [B,R,S,S], a little off, as hands draw them."""
    generator = torch.Generator().manual_seed(seed)
    return jittered_boxes(boxes_from_masks(masks), config.box_jitter * config.size_px, generator)


def network_scores(
    model: nn.Module, config: SegmentationConfig, images: Tensor, boxes: Tensor
) -> Tensor:
    """Return [B,C,S,S] scores of images [B,1,S,S].

    Args:
        model: the network.
        config: settings.
        images: attenuation in any unit.
        boxes: [B,R,4] where a MedSAM is to look, in pixels; a U-Net has no use for them.
    """
    scores: Tensor
    if config.architecture == "unet":
        scores = model(normalised(images))
    else:
        scores = model(windowed(images), boxes)
    return scores
