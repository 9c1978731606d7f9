"""A trained network as registration and the command line use it: image in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.segmentation.checkpoint import ModelCard, read_card, read_weights
from wsreg.segmentation.unet import UNet, UNetConfig, roi_probabilities

CONTRAST_RANGE = 2.0
"""Grey values further from the median than this many times the 10th to 90th percentile's distance
are cut: collimators and metal would set the scale otherwise."""

HARD_MASK = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmenter:
    """Finds regions in X-rays or rendered images.

    Args:
        card: of the checkpoint.
        network: normalised images [B,1,S,S] to probabilities [B,R,S,S].
    """

    card: ModelCard
    network: Callable[[Tensor], Tensor]

    @property
    def roi_names(self) -> tuple[str, ...]:
        """The regions, in the order of the probabilities."""
        return self.card.roi_names

    def probabilities(self, image: Tensor) -> Tensor:
        """[B,R,H,W] probabilities of images [B,1,H,W]; differentiable to them.

        Args:
            image: attenuation (bone is bright), any size, in any unit and with any offset.
        """
        size = (self.card.size_px, self.card.size_px)
        small = torch.nn.functional.interpolate(
            normalised(image), size, mode="bilinear", antialias=True
        )
        found = self.network(small)
        return torch.nn.functional.interpolate(
            found, tuple(image.shape[-2:]), mode="bilinear", align_corners=False
        )

    def hard_masks(self, image: Tensor) -> Tensor:
        """[B,R,H,W] bool: where a region is more likely than not (the paper's M)."""
        with torch.no_grad():
            return self.probabilities(image) > HARD_MASK


def load_segmenter(folder: Path) -> Segmenter:
    """Read a checkpoint written by ``wsreg train segmentation``.

    Raises:
        InputError: there is none, it is a pickle, of an unknown architecture, or its weights do
            not fit its architecture.
    """
    card = read_card(folder)
    if card.kind != "unet":
        raise InputError(f"model {folder} must be of the kind unet, got {card.kind!r}")
    config = UNetConfig(
        rois=len(card.roi_names),
        channels=tuple(card.config["channels"]),
        output=card.config["output"],
    )
    network = UNet(config)
    load_weights(network, read_weights(folder), folder)
    network.eval().requires_grad_(False)
    return Segmenter(card=card, network=lambda x: roi_probabilities(network(x), config.output))


def load_weights(network: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    """Put weights into a network.

    Raises:
        InputError: a tensor is missing, unknown, or of another shape.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    differing = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if differing:
        name = differing[0]
        raise InputError(
            f"model {folder} does not fit its architecture: {name} must be "
            f"{wanted.get(name, 'absent')}, got {found.get(name, 'nothing')}"
        )
    network.load_state_dict(weights)


def normalised(image: Tensor) -> Tensor:
    """Images [B,1,H,W] with the same grey scale whatever their exposure; differentiable.

    Offset and scale are taken from the middle of the histogram and held fixed in the gradient.
    """
    flat = image.detach().flatten(1).float()
    low, middle, high = torch.quantile(
        flat, torch.tensor([0.1, 0.5, 0.9], dtype=flat.dtype, device=flat.device), dim=1
    )
    scale = (high - low).clamp(min=1e-6)[:, None, None, None]
    centred = (image - middle[:, None, None, None]) / scale
    cut: Tensor = centred.clamp(-CONTRAST_RANGE, CONTRAST_RANGE)
    return cut
