from __future__ import annotations

import pytest
import torch
from torch import nn

from wsreg.errors import InputError
from wsreg.networks.unet import Output, UNet, UNetConfig, roi_probabilities


def test_six_levels_halved_by_two_by_two_convolutions_and_doubled_by_transposed_ones() -> None:
    network = UNet(UNetConfig(rois=6))
    strided = [
        (type(m), m.kernel_size) for m in network.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d) and m.stride == (2, 2)
    ]  # fmt: skip
    assert strided == [(nn.Conv2d, (2, 2))] * 5 + [(nn.ConvTranspose2d, (2, 2))] * 5


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_a_probability_for_each_region_in_each_pixel(output: Output) -> None:
    torch.manual_seed(0)
    network = UNet(UNetConfig(rois=3, channels=(4, 8, 8), output=output))
    found = roi_probabilities(network(torch.randn(2, 2, 16, 24)), output).detach()
    assert found.shape == (2, 3, 16, 24)
    assert bool(((found > 0) & (found < 1)).all())
    if output == "softmax":
        assert float(found.sum(dim=1).max()) < 1.0


def test_an_image_is_segmented_alike_in_any_batch() -> None:
    torch.manual_seed(0)
    network = UNet(UNetConfig(rois=2, channels=(4, 8))).eval()
    images = torch.randn(3, 2, 16, 16)
    assert torch.allclose(network(images)[1:2], network(images[1:2]), atol=1e-5)


def test_bad_settings_are_named() -> None:
    with pytest.raises(InputError, match="at least 1 ROI and 2 levels"):
        UNetConfig(rois=0)
    with pytest.raises(InputError, match="sigmoid or softmax, got 'relu'"):
        UNetConfig(rois=1, output="relu")  # type: ignore[arg-type]
