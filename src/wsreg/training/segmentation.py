"""Train the networks that find bones in X-rays, leaving specimens out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.segmentation.checkpoint import ModelCard, read_card, read_weights, save_checkpoint
from wsreg.segmentation.segmenter import load_weights
from wsreg.segmentation.unet import Output, roi_probabilities
from wsreg.training.config import TrainingConfig, disturbed_share, learning_rate, size_at
from wsreg.training.data import TrainingData, at_size, batch_at
from wsreg.training.log import append_log
from wsreg.training.networks import network_config, network_scores, new_network
from wsreg.training.state import restore_state, run_signature, save_state, weights_sha256

Progress = Callable[[str, int, int], None]


def train_segmentation(
    data: TrainingData,
    config: TrainingConfig,
    folder: Path,
    *,
    medsam_weights: Path | None = None,
    begin_with: Path | None = None,
    accelerator: str = "cpu",
    devices: int = 1,
    precision: str = "32-true",
    minutes: float = math.inf,
    progress: Progress = lambda stage, done, total: None,
) -> ModelCard:
    """Train, going on from the last state in the folder if there is one.

    A run that was killed and goes on ends with the same weights as one that was not: what a step
    sees follows from seed and step alone.

    Args:
        data: what to learn from.
        config: settings.
        folder: gets model.safetensors, model.json, log.csv, TensorBoard's events and the state.
        medsam_weights: folder of a MedSAM to start from.
        begin_with: folder of a model trained before, whose weights are the first.
        accelerator: Lightning Fabric's: ``cpu``, ``cuda``, ``auto``.
        devices: how many; each works on batches of its own.
        precision: Lightning Fabric's: ``32-true``, ``bf16-mixed``.
        minutes: after which to stop at the next state; started again, the run goes on.
        progress: called with (stage, done, total).

    Raises:
        InputError: the accelerator is absent, the state is of other settings or data, the MedSAM
            folder holds none, the model to begin with does not fit or has seen what is held out,
            the loss is not finite any more, or the folder cannot be written.
    """
    fabric = _fabric(accelerator, devices, precision)
    torch.manual_seed(config.seed)  # of the weights, which torch draws from its global generator
    network = new_network(config, len(data.roi_names), medsam_weights)
    if begin_with is not None:
        _check_begin(begin_with, config, data)
        load_weights(network, read_weights(begin_with), begin_with)
    optimiser = _optimiser(network, config)
    setting = {
        "begin_with": weights_sha256(begin_with),
        "medsam_weights": weights_sha256(medsam_weights),
        "devices": devices,
        "precision": precision,
    }
    signature = run_signature(data, config, setting)
    model, fabric_optimiser = fabric.setup(network, optimiser)
    begin = restore_state(folder, network, optimiser, signature)  # onto the device
    losses: list[float] = []
    from_scratch = config.architecture == "medsam" and medsam_weights is None
    card = _card(data, config, network, from_scratch, begin, {})
    stop = time.monotonic() + 60.0 * minutes
    for step in range(begin, config.steps):
        losses.append(_train_step(fabric, model, fabric_optimiser, data, config, step))
        progress("training", step + 1, config.steps)
        if (step + 1) % config.save_every and step + 1 < config.steps:
            continue
        found = evaluate(model, data, config, size_at(config, step))
        metrics = {"loss": float(np.mean(losses)), **found}
        losses.clear()
        card = _card(data, config, network, from_scratch, step + 1, metrics)
        if fabric.is_global_zero:  # the state last: what a kill cuts off is then done again
            save_checkpoint(folder, card, network.state_dict())
            append_log(folder, step + 1, metrics)
            save_state(folder, network, optimiser, signature, step + 1)
        if time.monotonic() > stop:
            break
    return card


def _check_begin(folder: Path, config: TrainingConfig, data: TrainingData) -> None:
    card = read_card(folder)
    if (card.kind, card.roi_names) != (config.architecture, data.roi_names):
        raise InputError(
            f"model {folder} must be a {config.architecture} for {', '.join(data.roi_names)} to "
            f"begin with, got a {card.kind} for {', '.join(card.roi_names)}"
        )
    seen = sorted(set(data.held_out_names) - set(card.held_out))
    if seen:
        raise InputError(
            f"model {folder} must not have seen what is held out to begin with, "
            f"it was trained on {', '.join(seen)}"
        )


def _train_step(
    fabric: Any,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    data: TrainingData,
    config: TrainingConfig,
    step: int,
) -> float:
    """The loss of a step before it is made."""
    model.train()
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(config, step)
    batch = step * fabric.world_size + fabric.global_rank
    drawn = batch_at(data, config, batch, disturbed_share(config, step))
    drawn = at_size(*drawn, size_at(config, step))
    image, target, counts = (tensor.to(fabric.device) for tensor in drawn)
    scores = network_scores(model, config, image, target, batch)
    loss = roi_loss(scores, target, counts, config.output)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise InputError(
            f"training diverged: the loss is {value} at step {step}; lower the learning rate"
        )
    optimiser.zero_grad()
    fabric.backward(loss)
    fabric.clip_gradients(model, optimiser, max_norm=1.0)
    optimiser.step()
    return value


def roi_loss(scores: Tensor, target: Tensor, counts: Tensor, output: Output) -> Tensor:
    """Cross-entropy plus 1 - soft Dice, where the target counts.

    Args:
        scores: [B,C,H,W] of the network.
        target: [B,R,H,W] 0 or 1; regions may overlap.
        counts: [B,R,H,W] bool; a softmax counts a pixel where all of its regions do.
        output: how scores become probabilities.
    """
    probability = roi_probabilities(scores, output)
    weight = counts.to(probability)
    both = (probability * target * weight).sum(dim=(0, 2, 3))
    sizes = ((probability + target) * weight).sum(dim=(0, 2, 3))
    dice = (2.0 * both + 1.0) / (sizes + 1.0)
    if output == "sigmoid":
        entropy = nn.functional.binary_cross_entropy_with_logits(scores, target, reduction="none")
        entropy = (entropy * weight).sum() / weight.sum().clamp(min=1.0)
    else:
        share = target / target.sum(dim=1, keepdim=True).clamp(min=1.0)
        full = torch.cat((1.0 - share.sum(dim=1, keepdim=True), share), dim=1)
        entropy = -(full * torch.log_softmax(scores, dim=1)).sum(dim=1)
        weight = weight.prod(dim=1)
        entropy = (entropy * weight).sum() / weight.sum().clamp(min=1.0)
    return entropy + (1.0 - dice).mean()


def evaluate(
    model: nn.Module, data: TrainingData, config: TrainingConfig, size_px: int
) -> dict[str, float]:
    """Dice of hard masks on the held-out X-rays at this image side: by region, and their mean."""
    if not len(data.held_out[0]):
        return {}
    images, masks, counts = data.held_out
    images, soft, counts = at_size(images[:, None], masks, counts, size_px)
    masks = soft > 0.5
    model.eval()
    device = next(model.parameters()).device
    found = []
    with torch.no_grad():
        for index in range(len(images)):
            one = slice(index, index + 1)
            image, truth = images[one].to(device), masks[one].to(device)
            scores = network_scores(model, config, image, truth, index)
            found.append(roi_probabilities(scores, config.output)[0])
    hard, masks = (torch.stack(found).cpu() > 0.5) & counts, masks & counts
    both = (hard & masks).sum(dim=(2, 3)).double()
    sizes = (hard.sum(dim=(2, 3)) + masks.sum(dim=(2, 3))).double()
    dice = torch.where(masks.any(dim=(2, 3)), 2.0 * both / sizes, math.nan)
    by_roi = {
        f"dice {name}": float(value)
        for name, value in zip(data.roi_names, dice.nanmean(dim=0), strict=True)
    }
    return {"dice": float(dice.nanmean()), **by_roi}


def _fabric(accelerator: str, devices: int, precision: str) -> Any:
    from lightning_fabric import Fabric

    if accelerator in ("cuda", "gpu") and not torch.cuda.is_available():
        raise InputError("accelerator cuda needs a GPU, this machine has none that torch can use")
    if devices < 1:
        raise InputError(f"devices must be at least 1, got {devices}")
    if accelerator in ("cuda", "gpu") and devices > torch.cuda.device_count():
        raise InputError(
            f"devices must be at most the {torch.cuda.device_count()} GPUs here, got {devices}"
        )
    fabric = Fabric(accelerator=accelerator, devices=devices, precision=precision)
    fabric.launch()
    return fabric


def _optimiser(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if config.optimiser == "adam":
        return torch.optim.Adam(trained, lr=config.learning_rate)
    return torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=config.weight_decay)


def _card(
    data: TrainingData,
    config: TrainingConfig,
    network: nn.Module,
    from_scratch: bool,
    step: int,
    metrics: dict[str, float],
) -> ModelCard:
    return ModelCard(
        kind=config.architecture,
        config=network_config(network),
        roi_names=data.roi_names,
        size_px=config.size_px,
        data_sha256=data.sha256,
        held_out=data.held_out_names,
        step=step,
        wsreg=version("wsreg"),
        from_scratch=from_scratch,
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
    )
