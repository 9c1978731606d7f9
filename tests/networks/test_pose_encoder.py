from __future__ import annotations

import pytest
import torch

from wsreg.errors import InputError
from wsreg.networks.pose_encoder import PoseEncoder, PoseEncoderConfig


def test_it_is_resnet18_with_a_two_layer_perceptron() -> None:
    network = PoseEncoder(PoseEncoderConfig(width=64, hidden=256, stem="resnet"))
    convolutions = [part for part in network.modules() if isinstance(part, torch.nn.Conv2d)]
    assert len([part for part in convolutions if part.kernel_size != (1, 1)]) == 17
    assert len([part for part in network.modules() if isinstance(part, torch.nn.Linear)]) == 2
    # ResNet18 without its classifier has 11,176,512 weights of three channels: one channel less.
    of_perceptron = 512 * 256 + 256 + 256 * 12 + 12
    weights = sum(part.numel() for part in network.parameters())
    assert weights == 11_176_512 - 64 * 49 + of_perceptron


@pytest.mark.parametrize("stem", ["resnet", "patches"])
@pytest.mark.parametrize("shape", [(32, 32), (64, 96)])
def test_six_numbers_and_how_sure_they_are(stem: str, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    config = PoseEncoderConfig(width=4, hidden=8, stem=stem)  # type: ignore[arg-type]
    network = PoseEncoder(config)
    numbers, log_variance = network(torch.randn(3, 2, *shape))
    assert numbers.shape == log_variance.shape == (3, 6)
    assert float(numbers.detach().abs().max()) < 0.1  # the view itself, at first


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(InputError, match="must be at least 1, got 0 and 8"):
        PoseEncoderConfig(width=0, hidden=8)
    with pytest.raises(InputError, match="must be patches or resnet, got 'vit'"):
        PoseEncoderConfig(stem="vit")  # type: ignore[arg-type]
