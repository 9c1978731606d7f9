"""Settings of the training of a pose encoder."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wsreg.errors import InputError
from wsreg.networks.pose_encoder import PoseEncoderConfig, Stem
from wsreg.training.config import FitConfig
from wsreg.training.pose_sampling import PoseRange

LEAST_PX = 32
"""Smallest image: the encoder halves it five times."""
BEGUN_STEPS = 3
"""So many times fewer steps are taken where an encoder begins with another's weights."""
NARROW = 0.15
"""Of the range of tilts and shifts, where a training begins."""


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """What is learnt, from which images, and how.

    Args:
        width, hidden, stem: of the network (:mod:`wsreg.networks.pose_encoder`).
        size_px: rows and columns of the images that it sees.
        voxel_mm: of the CT that they are rendered from.
        loss_px, loss_voxel_mm: the same where the images of estimated and true poses are compared.
        window_px: side of the windows in which they are.
        view: from which side the middle of all poses is seen.
        poses: their range.
        geodesic_weight, roi_weight, image_weight: the paper's beta_1, beta_2, and that of
            1 - mNCC; what weighs 0 is not computed.
        roi_images: how many images of a batch regions are compared in, the first ones, which then
            count as much more; None for all.  A network of regions takes most of a step's time.
        sureness_weight: of the likelihood of the errors under the stated deviations.
        augmented_fraction: fraction of the images whose intensities are unlike a clean one's.
        widening: fraction of the steps in which the range of tilts and shifts grows from ``NARROW``
            of it to all of it: they change the image most, and while they are all there is to
            see, roll and depth are not learnt.
        validated: how many images are held out.
        fit: how the network is fitted.

    Raises:
        InputError: an image under 32 pixels, a window larger than the compared images, a negative
            weight, or none, or regions in fewer images than one or more than a batch has.
    """

    width: int = 32
    hidden: int = 256
    stem: Stem = "resnet"
    size_px: int = 64
    voxel_mm: float = 4.0
    loss_px: int = 32
    loss_voxel_mm: float = 6.0
    window_px: int = 7
    view: str = "PA"
    poses: PoseRange = field(default_factory=PoseRange)
    geodesic_weight: float = 1e-2
    roi_weight: float = 1e-1
    image_weight: float = 1.0
    roi_images: int | None = None
    sureness_weight: float = 0.1
    augmented_fraction: float = 0.8
    widening: float = 0.5
    validated: int = 64
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            optimiser="adam", learning_rate=2e-3, batch=32, steps=8000
        )
    )

    @property
    def network(self) -> PoseEncoderConfig:
        """Return the sizes of the network."""
        return PoseEncoderConfig(width=self.width, hidden=self.hidden, stem=self.stem)

    def __post_init__(self) -> None:
        if self.size_px < LEAST_PX or self.loss_px < self.window_px:
            raise InputError(
                f"size_px must be at least {LEAST_PX} and loss_px at least window_px, "
                f"got {self.size_px}, {self.loss_px} and {self.window_px}"
            )
        weights = (self.geodesic_weight, self.roi_weight, self.image_weight)
        every = (*weights, self.sureness_weight)
        if not all(0.0 <= weight < math.inf for weight in every) or not any(weights):
            raise InputError(
                f"weights of the loss must be finite, at least 0 and not all 0, got {weights} and "
                f"{self.sureness_weight}"
            )
        if self.fit.batch == 1 and self.size_px < 2 * LEAST_PX:
            raise InputError(f"batch must be at least 2 for images of {self.size_px} pixels, got 1")
        if self.roi_images is not None and not 1 <= self.roi_images <= self.fit.batch:
            raise InputError(
                f"roi_images must be 1 to the {self.fit.batch} of a batch, got {self.roi_images}"
            )
        if self.validated < 1:
            raise InputError(f"validated must be at least 1, got {self.validated}")


def reach(config: EncoderConfig, step: int) -> float:
    """Return how much of the range of tilts and shifts a step learns, from ``NARROW`` to 1."""
    if not config.widening:
        return 1.0
    return min(1.0, NARROW + (1.0 - NARROW) * step / (config.widening * config.fit.steps))


def small_config() -> EncoderConfig:
    """Return settings for 25 minutes on two cores."""
    return EncoderConfig()


def begun_config(config: EncoderConfig) -> EncoderConfig:
    """Return settings for an encoder that begins with another's weights.

    It takes a third of the steps at half the rate, and the whole range of poses from the first one.
    """
    fit = dataclasses.replace(
        config.fit,
        steps=max(1, config.fit.steps // BEGUN_STEPS),
        learning_rate=0.5 * config.fit.learning_rate,
    )
    return dataclasses.replace(config, fit=fit, widening=0.0)


def people_config() -> EncoderConfig:
    """Return settings for many virtual people: their poses alone, fast on a GPU."""
    return EncoderConfig(
        image_weight=0.0,
        roi_weight=0.0,
        validated=512,
        fit=FitConfig(
            optimiser="adam", learning_rate=3e-3, batch=128, steps=10_750, save_every=500
        ),
    )


def paper_config() -> EncoderConfig:
    """Return the paper's settings; an epoch is DiffPose's: 100 batches of 8 images."""
    return EncoderConfig(
        width=64,
        stem="resnet",
        size_px=256,
        voxel_mm=1.5,
        loss_px=128,
        loss_voxel_mm=3.0,
        window_px=13,
        fit=FitConfig(
            optimiser="adam", learning_rate=1e-3, schedule="constant", batch=8, steps=1300 * 100
        ),
    )


PRESETS: Mapping[str, Callable[[], EncoderConfig]] = {
    "small": small_config,
    "people": people_config,
    "paper": paper_config,
}
