"""Settings of a training, and the learning rate that follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wsreg.errors import InputError
from wsreg.segmentation.unet import Output

Architecture = Literal["unet", "medsam"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings.

    Args:
        architecture: ``unet``, or ``medsam``, which is told by boxes where to look.
        size_px: image side.
        channels: of the U-Net's levels.
        output: sigmoid or softmax; MedSAM has sigmoid only.
        box_jitter: how far a side of a box may be off, as a share of the image side.
        optimiser: ``adam`` (the paper's) or ``adamw``.
        learning_rate: its peak.
        schedule: ``constant``, or ``cosine`` after a warm-up of a twentieth of the steps.
        weight_decay: of adamw.
        batch: images a step.
        steps: in all.
        xray_share: share of real X-rays in a batch; the others are rendered.
        rendered_per_specimen: sets of layers rendered of each specimen.
        save_every: steps between states from which a run can go on.
        seed: of weights, poses and randomisation.
    """

    architecture: Architecture = "unet"
    size_px: int = 192
    channels: tuple[int, ...] = (16, 32, 48, 96, 128, 192)
    output: Output = "sigmoid"
    box_jitter: float = 10 / 1024
    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 1e-2
    schedule: Literal["constant", "cosine"] = "cosine"
    weight_decay: float = 1e-4
    batch: int = 8
    steps: int = 4000
    xray_share: float = 0.375
    rendered_per_specimen: int = 300
    save_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        factor = 2 ** (len(self.channels) - 1)
        if self.size_px % factor or self.size_px < factor:
            raise InputError(
                f"size_px must be a multiple of {factor} for {len(self.channels)} levels, "
                f"got {self.size_px}"
            )
        if self.architecture == "medsam" and self.output != "sigmoid":
            raise InputError(f"output of a MedSAM must be sigmoid, got {self.output!r}")
        if min(self.batch, self.steps, self.save_every) < 1:
            raise InputError("batch, steps and save_every must be at least 1")


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Of a step."""
    if config.schedule == "constant":
        return config.learning_rate
    warm_up = max(1, config.steps // 20)
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    share = (step - warm_up) / max(1, config.steps - warm_up)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))


def disturbed_share(config: TrainingConfig, step: int) -> float:
    """Of the images of a step that are made unlike what a detector shows: none at first, when the
    bones must be found at all, most in the second half."""
    return 0.8 * min(1.0, 2.0 * step / config.steps)


PAPER_EPOCHS: Mapping[Architecture, int] = {"unet": 500, "medsam": 400}
"""At a constant rate: of 0.1 with Adam for the U-Net, of 0.001 with AdamW for MedSAM."""


def small_config(output: Output = "sigmoid", architecture: Architecture = "unet") -> TrainingConfig:
    """What measured best for hours on two cores; transformers bear no such learning rate."""
    return TrainingConfig(
        architecture=architecture,
        learning_rate=1e-2 if architecture == "unet" else 1e-3,
        output=output,
    )


def paper_config(
    xrays: int, output: Output = "sigmoid", architecture: Architecture = "unet"
) -> TrainingConfig:
    """The paper's settings for a number of X-rays: an epoch shows as many images as there are."""
    return TrainingConfig(
        architecture=architecture,
        optimiser="adam" if architecture == "unet" else "adamw",
        learning_rate=1e-1 if architecture == "unet" else 1e-3,
        schedule="constant",
        output=output,
        steps=PAPER_EPOCHS[architecture] * math.ceil(xrays / TrainingConfig.batch),
    )
