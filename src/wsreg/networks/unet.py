"""The paper's U-Net: six levels, 2x2 convolutions down, 2x2 transposed convolutions up.

Source: section 2.1 of the paper, built from MONAI's convolution blocks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.extras import check_extra
from wsreg.networks.normalisation import READINGS

Output = Literal["sigmoid", "softmax"]


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Sizes of the network.

    Args:
        rois: how many regions it finds.
        channels: of each of the six levels, finest first.
        output: ``sigmoid`` gives each region a probability of its own, so that bones may lie over
            each other; ``softmax`` shares one among the regions and the background.
    """

    rois: int
    channels: tuple[int, ...] = (16, 32, 48, 96, 128, 192)
    output: Output = "sigmoid"

    def __post_init__(self) -> None:
        if self.rois < 1 or len(self.channels) < 2:
            raise InputError(
                f"U-Net must have at least 1 ROI and 2 levels, got {self.rois} and "
                f"{len(self.channels)}"
            )
        if self.output not in ("sigmoid", "softmax"):
            raise InputError(f"U-Net output must be sigmoid or softmax, got {self.output!r}")

    @property
    def side_factor(self) -> int:
        """Return what the sides of images must be multiples of."""
        return int(2 ** (len(self.channels) - 1))


class UNet(nn.Module):
    """Readings of an image [B,2,H,W] to scores [B,C,H,W]; sides are multiples of 2 to the levels
    less 1.

    C is the number of regions, after the background's if the output is softmax.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        check_extra("networks", "monai")
        self.config = config
        widths = config.channels
        self.entry = _level(READINGS, widths[0])
        self.down = nn.ModuleList(_down(a, b) for a, b in _neighbours(widths))
        self.left = nn.ModuleList(_level(b, b) for b in widths[1:])
        self.up = nn.ModuleList(_up(b, a) for a, b in _neighbours(widths))
        self.right = nn.ModuleList(_level(2 * a, a) for a in widths[:-1])
        outputs = config.rois + (config.output == "softmax")
        self.exit = nn.Conv2d(widths[0], outputs, kernel_size=1)

    def forward(self, readings: Tensor) -> Tensor:
        """Return [B,C,H,W] scores."""
        levels = [self.entry(readings)]
        for down, left in zip(self.down, self.left, strict=True):
            levels.append(left(down(levels[-1])))
        x = levels.pop()
        for up, right in zip(reversed(self.up), reversed(self.right), strict=True):
            x = right(torch.cat((levels.pop(), up(x)), dim=1))
        scores: Tensor = self.exit(x)
        return scores


def roi_probabilities(scores: Tensor, output: Output) -> Tensor:
    """Return [B,R,H,W] probability of each region from a network's scores."""
    if output == "softmax":
        return torch.softmax(scores, dim=1)[:, 1:]
    return torch.sigmoid(scores)


def _level(inputs: int, outputs: int) -> nn.Module:
    """Return two 3x3 convolutions.  Batches are normalised, which learns faster than groups do."""
    from monai.networks.blocks import Convolution

    return nn.Sequential(
        Convolution(2, inputs, outputs, kernel_size=3, norm="batch", act="leakyrelu"),
        Convolution(2, outputs, outputs, kernel_size=3, norm="batch", act="leakyrelu"),
    )


def _down(inputs: int, outputs: int) -> nn.Module:
    from monai.networks.blocks import Convolution

    layer: nn.Module = Convolution(
        2, inputs, outputs, strides=2, kernel_size=2, padding=0, conv_only=True
    )
    return layer


def _up(inputs: int, outputs: int) -> nn.Module:
    from monai.networks.blocks import Convolution

    layer: nn.Module = Convolution(
        2, inputs, outputs, strides=2, kernel_size=2, padding=0, output_padding=0,
        is_transposed=True, conv_only=True,
    )  # fmt: skip
    return layer


def _neighbours(widths: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(widths))
