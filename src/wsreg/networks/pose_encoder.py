"""The pose encoder: a ResNet18 and a two-layer perceptron, from an image to six numbers.

Sources: section 3.1 of the paper; K. He et al., "Deep residual learning for image recognition",
CVPR 2016.  MONAI has this network, too, but takes five seconds to load, in the theatre for nothing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.networks.normalisation import READINGS

KIND = "pose-encoder"
"""Of its checkpoints."""

NUMBERS = 6
"""Of a pose: rotations about, then translations along the camera's axes."""

LOG_VARIANCE_RANGE = (-12.0, 4.0)
"""Of errors in units of the pose range."""

Stem = Literal["patches", "resnet"]


@dataclass(frozen=True, kw_only=True)
class PoseEncoderConfig:
    """Sizes of the network.

    Args:
        width: channels of the first of the four stages, each of which doubles them; 64 is ResNet18.
        hidden: of the perceptron.
        stem: how the image gets to a quarter of its size: ``resnet`` by 7x7 convolutions and
            pooling, ``patches`` by one convolution of 4x4 pixels, a tenth faster.

    Raises:
        InputError: a size below 1, or an unknown stem.
    """

    width: int = 64
    hidden: int = 256
    stem: Stem = "resnet"

    def __post_init__(self) -> None:
        if min(self.width, self.hidden) < 1:
            raise InputError(
                f"width and hidden of a pose encoder must be at least 1, got {self.width} and "
                f"{self.hidden}"
            )
        if self.stem not in ("patches", "resnet"):
            raise InputError(f"stem of a pose encoder must be patches or resnet, got {self.stem!r}")


class PoseEncoder(nn.Module):
    """Readings of an image [B,2,H,W] to six numbers [B,6] and how sure they are [B,6].

    The numbers are about 1 over the poses that are learnt; beside each is the logarithm of the
    variance of its error.
    """

    def __init__(self, config: PoseEncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**stage for stage in range(4)]
        self.stem = _stem(config.stem, widths[0])
        self.stages = nn.Sequential(
            _Block(widths[0], widths[0], stride=1),
            _Block(widths[0], widths[0], stride=1),
            *itertools.chain.from_iterable(
                (_Block(a, b, stride=2), _Block(b, b, stride=1))
                for a, b in itertools.pairwise(widths)
            ),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(
            nn.Linear(widths[-1], config.hidden), nn.ReLU(), nn.Linear(config.hidden, 2 * NUMBERS)
        )
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        # The first answer is the view itself, whatever the image.
        nn.init.normal_(last.weight, std=1e-3)
        nn.init.zeros_(last.bias)

    def forward(self, readings: Tensor) -> tuple[Tensor, Tensor]:
        """Return (numbers [B,6], log variances [B,6]), both float32."""
        features = self.pool(self.stages(self.stem(readings))).flatten(1)
        numbers, log_variance = self.head(features).float().split(NUMBERS, dim=1)
        return numbers, log_variance.clamp(*LOG_VARIANCE_RANGE)


class _Block(nn.Module):
    """Two 3x3 convolutions beside a short cut (He et al., figure 2)."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.short_cut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.short_cut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return [B,C',H/stride,W/stride]."""
        total: Tensor = self.way(x) + self.short_cut(x)
        return total.relu_()


def _stem(kind: Stem, width: int) -> nn.Module:
    if kind == "patches":
        return nn.Sequential(
            nn.Conv2d(READINGS, width, 4, 4, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
    return nn.Sequential(
        nn.Conv2d(READINGS, width, 7, 2, 3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    )
