"""How alike images are, patch by patch."""

from __future__ import annotations

import pytest
import torch

from wsreg.registration.verdict.patch_ncc import patch_ncc

MASK = torch.ones(72, 80, dtype=torch.bool)


@pytest.fixture(name="fixed", scope="module")
def _fixed() -> torch.Tensor:
    noise = torch.randn(1, 1, 76, 84, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.avg_pool2d(noise, 5, 1)[0, 0]


def test_brightness_and_contrast_do_not_matter(fixed: torch.Tensor) -> None:
    assert patch_ncc(fixed, MASK, 3 * fixed + 1) == pytest.approx(1.0, abs=1e-4)


def test_it_sees_what_moved(fixed: torch.Tensor) -> None:
    assert patch_ncc(fixed, MASK, fixed.roll(12, 0)) < 0.3


def test_fine_noise_hardly_matters(fixed: torch.Tensor) -> None:
    noise = torch.randn(fixed.shape, generator=torch.Generator().manual_seed(1))
    assert patch_ncc(fixed, MASK, fixed + 0.3 * fixed.std() * noise) > 0.9


def test_what_is_masked_does_not_count(fixed: torch.Tensor) -> None:
    mask = MASK.clone()
    mask[:, 40:] = False
    spoilt = torch.where(mask, fixed, fixed.roll(12, 0))
    assert patch_ncc(fixed, mask, spoilt) == pytest.approx(1.0, abs=1e-4)
    assert patch_ncc(fixed, MASK, spoilt) < 0.8


def test_a_thin_image_is_one_row_of_patches() -> None:
    thin = torch.rand(4, 90, generator=torch.Generator().manual_seed(2))
    mask = torch.ones(4, 90, dtype=torch.bool)
    assert patch_ncc(thin, mask, 2 * thin) == pytest.approx(1.0, abs=1e-4)
