"""Train the U-Net that finds bones in X-rays, leaving specimens out."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.segmentation.checkpoint import ModelCard, save_checkpoint, write_whole
from wsreg.segmentation.segmenter import normalised
from wsreg.segmentation.unet import Output, UNet, UNetConfig, roi_probabilities
from wsreg.training.config import TrainingConfig, learning_rate
from wsreg.training.data import TrainingData, batch_at
from wsreg.training.state import restore_state, save_state

LOG_FILE = "log.csv"
Progress = Callable[[str, int, int], None]


def train_segmentation(
    data: TrainingData,
    config: TrainingConfig,
    folder: Path,
    *,
    accelerator: str = "cpu",
    precision: str = "32-true",
    progress: Progress = lambda stage, done, total: None,
) -> ModelCard:
    """Train, going on from the last state in the folder if there is one.

    A run that was killed and goes on ends with the same weights as one that was not: what a step
    sees follows from seed and step alone.

    Args:
        data: what to learn from.
        config: settings.
        folder: gets model.safetensors, model.json, log.csv and the state.
        accelerator: Lightning Fabric's: ``cpu``, ``cuda``, ``auto``.
        precision: Lightning Fabric's: ``32-true``, ``bf16-mixed``.
        progress: called with (stage, done, total).

    Raises:
        InputError: the accelerator is absent, the state is of other settings or data, or the
            folder cannot be written.
    """
    fabric = _fabric(accelerator, precision)
    torch.manual_seed(config.seed)  # of the weights, which torch draws from its global generator
    network = UNet(_unet_config(data, config))
    optimiser = _optimiser(network, config)
    begin = restore_state(folder, network, optimiser, data, config)
    model, optimiser = fabric.setup(network, optimiser)
    losses: list[float] = []
    card = _card(data, config, begin, {})
    for step in range(begin, config.steps):
        model.train()
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config, step)
        image, target, known = (t.to(fabric.device) for t in batch_at(data, config, step))
        loss = roi_loss(model(normalised(image)), target, known, config.output)
        optimiser.zero_grad()
        fabric.backward(loss)
        fabric.clip_gradients(model, optimiser, max_norm=1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        progress("training", step + 1, config.steps)
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            metrics = {"loss": float(np.mean(losses)), **evaluate(model, data, config)}
            losses.clear()
            card = _card(data, config, step + 1, metrics)
            save_checkpoint(folder, card, network.state_dict())
            save_state(folder, network, optimiser, data, config, step + 1)
            _log(folder, step + 1, metrics)
    return card


def roi_loss(scores: Tensor, target: Tensor, known: Tensor, output: Output) -> Tensor:
    """Cross-entropy plus 1 - soft Dice, over the regions that are known.

    Args:
        scores: [B,C,H,W] of the network.
        target: [B,R,H,W] 0 or 1; regions may overlap.
        known: [B,R] bool.
        output: how scores become probabilities.
    """
    probability = roi_probabilities(scores, output)
    weight = known[:, :, None, None].to(probability)
    both = (probability * target * weight).sum(dim=(0, 2, 3))
    sizes = ((probability + target) * weight).sum(dim=(0, 2, 3))
    dice = (2.0 * both + 1.0) / (sizes + 1.0)
    if output == "sigmoid":
        entropy = nn.functional.binary_cross_entropy_with_logits(scores, target, reduction="none")
        entropy = (entropy * weight).sum() / weight.expand_as(entropy).sum().clamp(min=1.0)
    else:
        share = target / target.sum(dim=1, keepdim=True).clamp(min=1.0)
        full = torch.cat((1.0 - share.sum(dim=1, keepdim=True), share), dim=1)
        entropy = -(full * torch.log_softmax(scores, dim=1)).sum(dim=1).mean()
    return entropy + (1.0 - dice).mean()


def evaluate(model: nn.Module, data: TrainingData, config: TrainingConfig) -> dict[str, float]:
    """Dice of hard masks on the held-out X-rays: by region, and their mean."""
    images, masks, known = data.held_out
    if not len(images):
        return {}
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        found = [
            roi_probabilities(model(normalised(image[None, None].to(device))), config.output)[0]
            for image in images
        ]
    hard = torch.stack(found).cpu() > 0.5
    both = (hard & masks).sum(dim=(2, 3)).double()
    sizes = (hard.sum(dim=(2, 3)) + masks.sum(dim=(2, 3))).double()
    dice = torch.where(known & (masks.sum(dim=(2, 3)) > 0), 2.0 * both / sizes, math.nan)
    by_roi = {
        f"dice {name}": float(value)
        for name, value in zip(data.roi_names, dice.nanmean(dim=0), strict=True)
    }
    return {"dice": float(dice.nanmean()), **by_roi}


def _fabric(accelerator: str, precision: str) -> Any:
    from lightning_fabric import Fabric

    if accelerator in ("cuda", "gpu") and not torch.cuda.is_available():
        raise InputError("accelerator cuda needs a GPU, this machine has none that torch can use")
    return Fabric(accelerator=accelerator, devices=1, precision=precision)


def _unet_config(data: TrainingData, config: TrainingConfig) -> UNetConfig:
    return UNetConfig(rois=len(data.roi_names), channels=config.channels, output=config.output)


def _optimiser(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    if config.optimiser == "adam":
        return torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    return torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )


def _card(
    data: TrainingData, config: TrainingConfig, step: int, metrics: dict[str, float]
) -> ModelCard:
    return ModelCard(
        kind="unet",
        config={"channels": list(config.channels), "output": config.output},
        roi_names=data.roi_names,
        size_px=config.size_px,
        data_sha256=data.sha256,
        held_out=data.held_out_names,
        step=step,
        wsreg=version("wsreg"),
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
    )


def _log(folder: Path, step: int, metrics: dict[str, float]) -> None:
    """Append a row to the log; rows of steps that are run again are dropped."""
    path = folder / LOG_FILE
    rows: list[dict[str, str]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if int(row["step"]) < step]
    row = {"step": str(step), **{name: f"{value:.5f}" for name, value in metrics.items()}}

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(row), extrasaction="ignore")
            writer.writeheader()
            writer.writerows([*rows, row])

    write_whole(path, write)
