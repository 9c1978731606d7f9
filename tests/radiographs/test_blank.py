from __future__ import annotations

import pytest
import torch

from wsreg.radiographs.blank import is_blank


@pytest.mark.parametrize("size", [(64, 64), (96, 128), (384, 384)])
def test_noise_is_blank_and_a_body_is_not(size: tuple[int, int]) -> None:
    noise = torch.randn(size, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(size, dtype=torch.bool)
    assert is_blank(5.0 + 0.1 * noise, mask)
    body = torch.zeros(size)
    body[: size[0] // 2, size[1] // 3 :] = 1.0
    assert not is_blank(body + 0.3 * noise, mask)


def test_only_what_the_mask_leaves_counts() -> None:
    image = torch.randn((64, 64), generator=torch.Generator().manual_seed(0))
    mask = torch.ones((64, 64), dtype=torch.bool)
    mask[:, :16] = False
    image[:, :16] = 100.0
    assert is_blank(image, mask)
    assert not is_blank(image, torch.ones_like(mask))
    assert not is_blank(image, torch.zeros_like(mask)), "nothing is known of nothing"
