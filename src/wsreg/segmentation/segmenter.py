"""A trained network as registration and the command line use it: image in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.reading_from import reason_of
from wsreg.networks.checkpoint import ModelCard, load_network, read_card
from wsreg.networks.generic import segmenter_folder
from wsreg.networks.medsam import MedSam, scaled_boxes, windowed
from wsreg.networks.normalisation import normalised
from wsreg.networks.unet import UNet, UNetConfig, roi_probabilities

HARD_MASK = 0.5
KINDS = ("unet", "medsam")


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmenter:
    """Finds regions in X-rays or rendered images.

    Args:
        card: of the checkpoint.
        network: normalised images [B,C,S,S], and boxes [B,R,4] in their pixels where it needs
            them, to probabilities [B,R,S,S].
        normalise: images [B,1,H,W] in any unit to the channels [B,C,H,W] that the network takes.
    """

    card: ModelCard
    network: Callable[[Tensor, Tensor | None], Tensor]
    normalise: Callable[[Tensor], Tensor]

    @property
    def roi_names(self) -> tuple[str, ...]:
        """Return the regions, in the order of the probabilities."""
        return self.card.roi_names

    @property
    def needs_boxes(self) -> bool:
        """Tell whether :meth:`probabilities` must be told where to look for each region."""
        return self.card.kind == "medsam"

    def probabilities(self, image: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Return [B,R,H,W] probabilities of images [B,1,H,W]; differentiable to them.

        Args:
            image: attenuation (bone is bright), any size, in any unit and with any offset.
            boxes: [B,R,4] or [R,4] pixels of the image (:mod:`wsreg.segmentation.boxes`), NaN for
                regions that are not there; looked at only if :attr:`needs_boxes`.

        Raises:
            InputError: an image or boxes of another shape, or boxes that are missing.
        """
        if image.ndim != 4 or image.shape[1] != 1:
            raise InputError(f"image must be [B,1,H,W], got {list(image.shape)}")
        size, inner = (image.shape[2], image.shape[3]), (self.card.size_px, self.card.size_px)
        prompts = self._prompts(boxes, len(image)) if self.needs_boxes else None
        if prompts is not None:
            prompts = scaled_boxes(prompts.to(image), size, inner)
        found = self.network(_resampled(self.normalise(image), inner), prompts)
        return _resampled(found, size)

    def hard_masks(self, image: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Return [B,R,H,W] bool: where a region is more likely than not (the paper's M)."""
        with torch.no_grad():
            return self.probabilities(image, boxes) > HARD_MASK

    def _prompts(self, boxes: Tensor | None, batch: int) -> Tensor:
        count = len(self.roi_names)
        if boxes is None:
            raise InputError(
                f"a {self.card.kind} model needs a box for each of {', '.join(self.roi_names)}"
            )
        if tuple(boxes.shape) not in ((batch, count, 4), (count, 4)):
            raise InputError(
                f"boxes must be [{batch},{count},4] or [{count},4], got {list(boxes.shape)}"
            )
        return boxes.expand(batch, count, 4)


def load_segmenter(
    folder: Path,
    *,
    kind: str | None = None,
    roi_names: Sequence[str] | None = None,
    device: str = "cpu",
) -> Segmenter:
    """Read a checkpoint written by ``wsreg train segmentation``.

    Args:
        folder: with model.safetensors and model.json; ``generic`` is the one of this kind, a U-Net
            if none is named, that comes with this package.
        kind: the architecture that it must be of, ``unet`` or ``medsam``; any if left out.
        roi_names: the regions that it must find, in order; any if left out.
        device: where its images will be.

    Raises:
        InputError: there is none, it is a pickle, of another architecture or for other regions
            than asked for, or its weights do not fit its architecture.
    """
    folder = segmenter_folder(folder, "medsam" if kind == "medsam" else "unet")
    card = read_card(folder)
    if card.kind not in KINDS or kind not in (None, card.kind):
        raise InputError(
            f"model {folder} must be of the kind {kind or ' or '.join(KINDS)}, got {card.kind!r}"
        )
    if roi_names is not None and tuple(roi_names) != card.roi_names:
        raise InputError(
            f"model {folder} must find {', '.join(roi_names)}, it finds {', '.join(card.roi_names)}"
        )
    make = _medsam_segmenter if card.kind == "medsam" else _unet_segmenter
    try:
        return make(card, folder, device)
    except (KeyError, TypeError, ValueError, RuntimeError, MemoryError, OverflowError) as error:
        raise InputError(
            f"model {folder} has a config that is no {card.kind}'s: {reason_of(error)}"
        ) from None


def _unet_segmenter(card: ModelCard, folder: Path, device: str) -> Segmenter:
    config = UNetConfig(
        rois=len(card.roi_names),
        channels=tuple(card.config["channels"]),
        output=card.config["output"],
    )
    if card.size_px % config.side_factor:
        raise InputError(
            f"model {folder} must work on images whose side is a multiple of "
            f"{config.side_factor}, its card has {card.size_px}"
        )
    network = load_network(lambda: UNet(config), folder).to(device)
    return Segmenter(
        card=card,
        network=lambda image, boxes: roi_probabilities(network(image), config.output),
        normalise=normalised,
    )


def _medsam_segmenter(card: ModelCard, folder: Path, device: str) -> Segmenter:
    network = load_network(lambda: MedSam(card.config), folder).to(device)
    return Segmenter(
        card=card,
        network=lambda image, boxes: network(image, boxes).sigmoid(),
        normalise=windowed,
    )


def _resampled(image: Tensor, size: tuple[int, int]) -> Tensor:
    if (image.shape[2], image.shape[3]) == size:
        return image
    return torch.nn.functional.interpolate(image, size, mode="bilinear", antialias=True)
