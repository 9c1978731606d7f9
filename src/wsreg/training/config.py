"""Settings of a training, and the learning rate that follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wsreg.errors import InputError
from wsreg.segmentation.unet import Output

Architecture = Literal["unet", "medsam"]


COARSE_SHARE = 2 / 3


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings.

    Args:
        architecture: ``unet``, or ``medsam``, which is told by boxes where to look.
        size_px: image side.
        coarse_px: image side in the first ``COARSE_SHARE`` of the steps, when it is learnt which
            bone is where; 0 for none such.
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
    size_px: int = 96
    coarse_px: int = 0
    channels: tuple[int, ...] = (16, 32, 48, 96, 128, 192)
    output: Output = "sigmoid"
    box_jitter: float = 10 / 1024
    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 6e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    weight_decay: float = 1e-4
    batch: int = 8
    steps: int = 8000
    xray_share: float = 0.375
    rendered_per_specimen: int = 300
    save_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        factor = 2 ** (len(self.channels) - 1)
        sides = {"size_px": self.size_px} | (
            {"coarse_px": self.coarse_px} if self.coarse_px else {}
        )
        for name, side in sides.items():
            if side % factor or side < factor:
                raise InputError(
                    f"{name} must be a multiple of {factor} for {len(self.channels)} levels, "
                    f"got {side}"
                )
        if self.architecture == "medsam" and self.output != "sigmoid":
            raise InputError(f"output of a MedSAM must be sigmoid, got {self.output!r}")
        if not 0.0 <= self.learning_rate < math.inf:
            raise InputError(
                f"learning_rate must be finite and at least 0, got {self.learning_rate}"
            )
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


def size_at(config: TrainingConfig, step: int) -> int:
    """Image side of a step."""
    coarse = config.coarse_px and step < COARSE_SHARE * config.steps
    return config.coarse_px if coarse else config.size_px


def disturbed_share(config: TrainingConfig, step: int) -> float:
    """Of the images of a step that are made unlike what a detector shows: none at first, when the
    bones must be found at all, half of them in the second half."""
    return 0.5 * min(1.0, 2.0 * step / config.steps)


PAPER_EPOCHS: Mapping[Architecture, int] = {"unet": 500, "medsam": 400}
"""At a constant rate: of 0.1 with Adam for the U-Net, of 0.001 with AdamW for MedSAM."""


def small_config(
    output: Output = "sigmoid",
    architecture: Architecture = "unet",
    size_px: int = TrainingConfig.size_px,
) -> TrainingConfig:
    """What measured best for an hour on two cores; transformers bear no such learning rate."""
    coarse_px = 2 * size_px // 3 // 32 * 32
    return TrainingConfig(
        architecture=architecture,
        learning_rate=6e-3 if architecture == "unet" else 1e-3,
        output=output,
        size_px=size_px,
        coarse_px=coarse_px if architecture == "unet" else 0,
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
