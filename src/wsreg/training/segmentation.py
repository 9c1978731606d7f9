"""The task of finding bones in X-rays, specimens left out (:func:`wsreg.training.fit.fit`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.files.hashes import sha256_of
from wsreg.networks.checkpoint import (
    WEIGHTS_FILE,
    ModelCard,
    load_weights,
    read_card,
    read_weights,
)
from wsreg.networks.generic import segmenter_folder
from wsreg.networks.unet import Output, roi_probabilities
from wsreg.training.fit import Batch
from wsreg.training.segmentation_config import SegmentationConfig, augmented_fraction, size_at
from wsreg.training.segmentation_data import SegmentationData, at_size, batch_at
from wsreg.training.segmentation_networks import (
    network_config,
    network_scores,
    new_network,
    prompt_boxes,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentationTask:
    """Find regions; a :class:`wsreg.training.fit.Task`.

    Args:
        network: with its first weights.
        config: settings.
        data: what to learn from.
        first_weights: sha256 of the weights read, by where they came from; empty without any.
    """

    network: nn.Module
    config: SegmentationConfig
    data: SegmentationData
    first_weights: Mapping[str, str]

    @property
    def origin(self) -> Mapping[str, Any]:
        """Return what a run that goes on must share besides the settings."""
        return {
            **self.first_weights,
            "data": self.data.sha256,
            "held_out": self.data.held_out_names,
            "rois": self.data.roi_names,
        }

    def batch(self, step: int, number: int) -> Batch:
        """Return (images [B,1,S,S], masks [B,R,S,S] float32, valid alike bool, boxes [B,R,4])."""
        drawn = batch_at(self.data, self.config, number, augmented_fraction(self.config, step))
        images, masks, valid = at_size(*drawn, size_at(self.config, step))
        return images, masks, valid, prompt_boxes(self.config, masks, number)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the scalar :func:`roi_loss` of a batch."""
        images, masks, valid, boxes = batch
        scores = network_scores(network, self.config, images, boxes)
        return roi_loss(scores, masks, valid, self.config.output)

    def validate(self, network: nn.Module, step: int) -> dict[str, float]:
        """Return Dice of hard masks on the held-out X-rays: the mean, and by region.

        The images are as large as those of the step.
        """
        images, masks, valid = self.data.held_out
        if not len(images):
            return {}
        images, soft, valid = at_size(images[:, None], masks, valid, size_at(self.config, step))
        masks = soft > 0.5
        device = next(network.parameters()).device
        found = []
        for index in range(len(images)):
            one = slice(index, index + 1)
            boxes = prompt_boxes(self.config, masks[one], index)
            scores = network_scores(network, self.config, images[one].to(device), boxes.to(device))
            found.append(roi_probabilities(scores, self.config.output)[0].cpu() > 0.5)
        dice = hard_dice(torch.stack(found), masks, valid)
        by_roi = zip(self.data.roi_names, dice.nanmean(dim=0).tolist(), strict=True)
        return {"dice": float(dice.nanmean()), **{f"dice {name}": d for name, d in by_roi}}

    def card(self, step: int, metrics: Mapping[str, float]) -> ModelCard:
        """Return what a checkpoint says of itself."""
        medsam = self.config.architecture == "medsam"
        return ModelCard(
            kind=self.config.architecture,
            config=network_config(self.network),
            roi_names=self.data.roi_names,
            size_px=self.config.size_px,
            data_sha256=self.data.sha256,
            held_out=self.data.held_out_names,
            step=step,
            wsreg=version("wsreg"),
            from_scratch=medsam and not self.first_weights["medsam_weights"],
            people=self.data.people,
            metrics=dict(metrics),
        )


def segmentation_task(
    data: SegmentationData,
    config: SegmentationConfig,
    *,
    medsam_weights: Path | None = None,
    begin_with: Path | None = None,
) -> SegmentationTask:
    """Make a task with a new network, or one that goes on with another training's weights.

    Args:
        data: what to learn from.
        config: settings; the seed is of the weights too.
        medsam_weights: folder of a MedSAM to start from.
        begin_with: folder of a model trained before, whose weights are the first; ``generic`` is
            the one that comes with this package.

    Raises:
        InputError: the MedSAM folder holds none, or the model to begin with does not fit or has
            seen what is held out.
    """
    torch.manual_seed(config.fit.seed)  # of the weights, which torch draws globally
    network = new_network(config, len(data.roi_names), medsam_weights)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if begin_with is not None:
        begin_with = segmenter_folder(begin_with, config.architecture)
        _check_begin(begin_with, config, data)
        load_weights(network, read_weights(begin_with), begin_with)
    folders = {"begin_with": begin_with, "medsam_weights": medsam_weights}
    return SegmentationTask(
        network=network,
        config=config,
        data=data,
        first_weights={
            name: "" if folder is None else sha256_of(folder / WEIGHTS_FILE)
            for name, folder in folders.items()
        },
    )


def roi_loss(scores: Tensor, target: Tensor, valid: Tensor, output: Output) -> Tensor:
    """Return cross-entropy plus 1 - soft Dice, where the target is valid.

    Dice is of each region of each image, as it is measured, so that slivers at the border of an
    image weigh as much as whole bones; nothing is asked of a region that is valid nowhere.

    Args:
        scores: [B,C,H,W] of the network.
        target: [B,R,H,W] 0 or 1; regions may overlap.
        valid: [B,R,H,W] bool; for a softmax a pixel is valid where all of its regions are.
        output: how scores become probabilities.
    """
    probability = roi_probabilities(scores, output)
    weight = valid.to(probability)
    both = (probability * target * weight).sum(dim=(2, 3))
    sizes = ((probability + target) * weight).sum(dim=(2, 3))
    seen = valid.any(dim=3).any(dim=2)
    lacking = 1.0 - (2.0 * both + 1.0) / (sizes + 1.0)
    lacking = (lacking * seen).sum() / seen.sum().clamp(min=1)
    if output == "sigmoid":
        entropy = nn.functional.binary_cross_entropy_with_logits(scores, target, reduction="none")
        entropy = (entropy * weight).sum() / weight.sum().clamp(min=1.0)
    else:
        fraction = target / target.sum(dim=1, keepdim=True).clamp(min=1.0)
        full = torch.cat((1.0 - fraction.sum(dim=1, keepdim=True), fraction), dim=1)
        entropy = -(full * torch.log_softmax(scores, dim=1)).sum(dim=1)
        weight = weight.prod(dim=1)
        entropy = (entropy * weight).sum() / weight.sum().clamp(min=1.0)
    return entropy + lacking


def hard_dice(found: Tensor, masks: Tensor, valid: Tensor) -> Tensor:
    """Return [N,R] float64 Dice of bool masks [N,R,H,W] where ``valid``.

    It is NaN for a region that is not in the image.
    """
    found, masks = found & valid, masks & valid
    both = (found & masks).sum(dim=(2, 3)).double()
    sizes = (found.sum(dim=(2, 3)) + masks.sum(dim=(2, 3))).double()
    return torch.where(masks.any(dim=(2, 3)), 2.0 * both / sizes, math.nan)


def _check_begin(folder: Path, config: SegmentationConfig, data: SegmentationData) -> None:
    card = read_card(folder)
    if (card.kind, card.roi_names) != (config.architecture, data.roi_names):
        raise InputError(
            f"model {folder} must be a {config.architecture} for {', '.join(data.roi_names)} to "
            f"begin with, got a {card.kind} for {', '.join(card.roi_names)}"
        )
    seen = sorted(set(data.held_out_names) - set(card.held_out))
    if seen and not card.people:  # those are in no data set
        raise InputError(
            f"model {folder} must not have seen what is held out to begin with, "
            f"it was trained on {', '.join(seen)}"
        )
