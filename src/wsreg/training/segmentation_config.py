"""Settings of the training of a segmentation network."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from wsreg.errors import InputError
from wsreg.networks.unet import Output
from wsreg.training.config import FitConfig
from wsreg.training.randomisation import INVERTED_FRACTION, TURNED_FRACTION

Architecture = Literal["unet", "medsam"]


COARSE_FRACTION = 2 / 3


@dataclass(frozen=True, kw_only=True)
class SegmentationConfig:
    """What is learnt, from which images, and how.

    Args:
        architecture: ``unet``, or ``medsam``, which is told by boxes where to look.
        size_px: image side.
        coarse_px: image side in the first ``COARSE_FRACTION`` of the steps, when it is learnt which
            bone is where; 0 for none such.
        channels: of the U-Net's levels.
        output: sigmoid or softmax; MedSAM has sigmoid only.
        box_jitter: how far a side of a box may be off, as a fraction of the image side.
        xray_fraction: fraction of real X-rays in a batch; the others are rendered.
        rendered_per_specimen: sets of layers rendered of each specimen.
        turned_fraction: fraction of the images that are turned by half a turn.
        inverted_fraction: fraction of those with other intensities that are inverted.
        fit: how the network is fitted; its seed is of the rendered poses, too.

    Raises:
        InputError: an image side that the levels cannot halve, a fraction that is none, or a
            MedSAM with softmax.
    """

    architecture: Architecture = "unet"
    size_px: int = 96
    coarse_px: int = 0
    channels: tuple[int, ...] = (16, 32, 48, 96, 128, 192)
    output: Output = "sigmoid"
    box_jitter: float = 10 / 1024
    xray_fraction: float = 0.375
    rendered_per_specimen: int = 300
    turned_fraction: float = TURNED_FRACTION
    inverted_fraction: float = INVERTED_FRACTION
    fit: FitConfig = field(default_factory=FitConfig)

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
        for name in ("xray_fraction", "turned_fraction", "inverted_fraction"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"{name} must be from 0 to 1, got {getattr(self, name)}")
        if self.architecture == "medsam" and self.output != "sigmoid":
            raise InputError(f"output of a MedSAM must be sigmoid, got {self.output!r}")


def size_at(config: SegmentationConfig, step: int) -> int:
    """Return the image side (pixels) at a step."""
    coarse = config.coarse_px and step < COARSE_FRACTION * config.fit.steps
    return config.coarse_px if coarse else config.size_px


def augmented_fraction(config: SegmentationConfig, step: int) -> float:
    """Return the fraction of a step's images whose intensities are unlike a detector's.

    It is none at first, when the bones must be found at all, and a half in the second half.
    """
    return 0.5 * min(1.0, 2.0 * step / config.fit.steps)


PAPER_EPOCHS: Mapping[Architecture, int] = {"unet": 500, "medsam": 400}
"""At a constant rate: of 0.1 with Adam for the U-Net, of 0.001 with AdamW for MedSAM."""


def small_config(
    architecture: Architecture = "unet", size_px: int = SegmentationConfig.size_px
) -> SegmentationConfig:
    """Return settings that measured best for an hour on two cores.

    Transformers bear no such rate.
    """
    coarse_px = 2 * size_px // 3 // 32 * 32
    return SegmentationConfig(
        architecture=architecture,
        size_px=size_px,
        coarse_px=coarse_px if architecture == "unet" else 0,
        fit=FitConfig(learning_rate=6e-3 if architecture == "unet" else 1e-3),
    )


def people_config(
    architecture: Architecture = "unet", size_px: int = SegmentationConfig.size_px
) -> SegmentationConfig:
    """Return settings to learn many virtual people, for half an hour of one core.

    Such a network is to find bones whichever way an image is stored.
    """
    config = small_config(architecture, size_px)
    return dataclasses.replace(
        config,
        xray_fraction=0.0,
        rendered_per_specimen=60,
        turned_fraction=0.1,
        inverted_fraction=0.15,
        fit=dataclasses.replace(
            config.fit, batch=8 if architecture == "unet" else 4, steps=5000, save_every=500
        ),
    )


def begun_config(
    architecture: Architecture = "unet", size_px: int = SegmentationConfig.size_px
) -> SegmentationConfig:
    """Return settings for a network that begins with one that has learnt virtual people.

    It knows which bone is where, and learns what X-rays look like.  A U-Net took 17 minutes of a
    busy core in bfloat16.
    """
    config = people_config(architecture, size_px)
    rate = 2e-3 if architecture == "unet" else 5e-4
    return dataclasses.replace(
        config,
        coarse_px=0,
        xray_fraction=0.5,
        rendered_per_specimen=100,
        fit=dataclasses.replace(config.fit, learning_rate=rate, steps=3000, save_every=200),
    )


def paper_config(
    xrays: int, output: Output = "sigmoid", architecture: Architecture = "unet"
) -> SegmentationConfig:
    """Return the paper's settings: an epoch shows as many images as there are X-rays."""
    return SegmentationConfig(
        architecture=architecture,
        output=output,
        fit=FitConfig(
            optimiser="adam" if architecture == "unet" else "adamw",
            learning_rate=1e-1 if architecture == "unet" else 1e-3,
            schedule="constant",
            steps=PAPER_EPOCHS[architecture] * math.ceil(xrays / FitConfig.batch),
        ),
    )
