"""How large an experiment is: image sizes, steps of the trainings, steps of Adam."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wsreg.networks.generic import GENERIC
from wsreg.training import encoder_config as encoders
from wsreg.training import segmentation_config as segmentations
from wsreg.training.config import FitConfig
from wsreg.training.encoder_config import EncoderConfig
from wsreg.training.pose_sampling import POSE_RANGES
from wsreg.training.segmentation_config import Architecture, SegmentationConfig
from wsreg.training.state import settings_of
from wsreg.vocabulary import PresetName


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One size of everything that methods do, the same for all of them.

    Args:
        name: of the preset.
        image_px: side of the images that loops of Adam compare.
        voxel_mm: of the CT there; None for its own grid.
        window_px: side of the windows of mNCC.
        adam_steps: of those loops (the paper's 250).
        xrays: how many of each specimen are registered, the first ones; None for all.
        similarity_xrays: the same for Table 3, which registers each of them 30 times.
        capture_xrays: the same, of one specimen, for capture range and convergence.
        encoder: how encoders are trained; the weights of its loss are the methods'.
        begin_with: an encoder that all others begin with.  A published method has none; it saves
            most of the training, and is given to every method that has an encoder.
        segmentation: settings of a network from its architecture and the number of X-rays learnt.
        begin_segmentation_with: a network that those begin with, by its name or folder; ``generic``
            is the one of the same architecture that comes with this package.
        segmentation_precision: of those trainings, see :func:`wsreg.training.fit.fit`.
        accelerator: where networks are trained, see there.
    """

    name: PresetName
    image_px: int
    voxel_mm: float | None
    window_px: int
    adam_steps: int
    xrays: int | None
    similarity_xrays: int | None
    capture_xrays: int
    encoder: EncoderConfig
    begin_with: Path | None
    segmentation: Callable[[Architecture, int], SegmentationConfig]
    begin_segmentation_with: Path | None = None
    segmentation_precision: str = "32-true"
    accelerator: str = "cpu"

    def record(self) -> dict[str, Any]:
        """Return what registrations depend on, besides artefacts, in JSON's types."""
        names = ("name", "image_px", "voxel_mm", "window_px", "adam_steps")
        return {name: getattr(self, name) for name in names}

    def training_record(self, kind: Literal["unet", "medsam", "encoder"]) -> dict[str, Any]:
        """Return what the training of an artefact depends on, in JSON's types."""
        if kind == "encoder":
            return {**_plain(self.encoder), "begin_with": _named(self.begin_with)}
        return {
            **_plain(self.segmentation(kind, 1)),
            "begin_with": _named(self.begin_segmentation_with),
            "precision": self.segmentation_precision,
        }


def _named(folder: Path | None) -> str | None:
    return None if folder is None else str(folder)


def _plain(config: EncoderConfig | SegmentationConfig) -> dict[str, Any]:
    settings = settings_of(config)
    return {key: list(v) if isinstance(v, tuple) else v for key, v in settings.items()}


def small_segmentation(architecture: Architecture, xrays: int) -> SegmentationConfig:
    """Return settings for about a quarter of an hour of one core."""
    return segmentations.begun_config(architecture)


def paper_segmentation(architecture: Architecture, xrays: int) -> SegmentationConfig:
    """Return the paper's optimiser and epochs."""
    return segmentations.paper_config(xrays, architecture=architecture)


def tiny_segmentation(architecture: Architecture, xrays: int) -> SegmentationConfig:
    """Return settings of a training that takes no time and learns nothing."""
    return SegmentationConfig(
        architecture=architecture,
        size_px=32,
        channels=(4, 8),
        rendered_per_specimen=2,
        fit=FitConfig(batch=2, steps=2, save_every=2, learning_rate=1e-3),
    )


def _small_encoder() -> EncoderConfig:
    config = encoders.begun_config(encoders.small_config())
    fit = dataclasses.replace(config.fit, steps=1200)
    return dataclasses.replace(config, roi_images=8, fit=fit)


def _paper_encoder() -> EncoderConfig:
    return dataclasses.replace(encoders.paper_config(), poses=POSE_RANGES["diffpose"])


_TINY_ENCODER = EncoderConfig(
    width=4,
    hidden=8,
    size_px=32,
    voxel_mm=8.0,
    loss_px=16,
    loss_voxel_mm=8.0,
    window_px=5,
    validated=4,
    fit=FitConfig(optimiser="adam", learning_rate=1e-3, batch=4, steps=2, save_every=2),
)

PRESETS: Mapping[PresetName, Preset] = {
    "small": Preset(
        name="small",
        image_px=192,
        voxel_mm=1.5,
        window_px=9,
        adam_steps=250,
        xrays=None,
        similarity_xrays=2,
        capture_xrays=6,
        encoder=_small_encoder(),
        begin_with=Path(GENERIC),
        segmentation=small_segmentation,
        begin_segmentation_with=Path(GENERIC),
        segmentation_precision="bf16-mixed",
    ),
    "paper": Preset(
        name="paper",
        image_px=256,
        voxel_mm=None,
        window_px=13,
        adam_steps=250,
        xrays=None,
        similarity_xrays=None,
        capture_xrays=12,
        encoder=_paper_encoder(),
        begin_with=None,
        segmentation=paper_segmentation,
        accelerator="auto",
    ),
    "tiny": Preset(
        name="tiny",
        image_px=32,
        voxel_mm=8.0,
        window_px=5,
        adam_steps=3,
        xrays=1,
        similarity_xrays=1,
        capture_xrays=1,
        encoder=_TINY_ENCODER,
        begin_with=None,
        segmentation=tiny_segmentation,
    ),
}
"""``small`` is for two cores, ``paper`` for a GPU, ``tiny`` to try things out."""
