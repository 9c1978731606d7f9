"""The networks that can be trained, and how each of them is asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.segmentation.boxes import boxes_from_masks, jittered_boxes
from wsreg.segmentation.medsam import FROM_SCRATCH, MedSam, load_medsam, windowed
from wsreg.segmentation.segmenter import normalised
from wsreg.segmentation.unet import UNet, UNetConfig
from wsreg.training.config import TrainingConfig


def new_network(config: TrainingConfig, rois: int, medsam_weights: Path | None) -> nn.Module:
    """A network to train; torch's global generator draws what is not read.

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
    """What a checkpoint says of a network, so that it can be made again."""
    if isinstance(network, MedSam):
        return network.config
    assert isinstance(network, UNet)
    return {"channels": list(network.config.channels), "output": network.config.output}


def network_scores(
    model: nn.Module, config: TrainingConfig, images: Tensor, masks: Tensor, seed: int
) -> Tensor:
    """[B,C,S,S] scores of images [B,1,S,S].

    Args:
        model: the network.
        config: settings.
        images: attenuation in any unit.
        masks: [B,R,S,S] true masks, around which MedSAM's boxes are drawn.
        seed: of how far the boxes are off.
    """
    if config.architecture == "unet":
        scores: Tensor = model(normalised(images))
        return scores
    generator = torch.Generator().manual_seed(seed)
    boxes = jittered_boxes(boxes_from_masks(masks), config.box_jitter * config.size_px, generator)
    scores = model(windowed(images), boxes)
    return scores
