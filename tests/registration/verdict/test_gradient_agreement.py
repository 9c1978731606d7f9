"""How well edges agree where they agree best."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.registration.verdict.gradient_agreement import gradient_agreement

MASK = torch.ones(72, 80, dtype=torch.bool)


@pytest.fixture(name="fixed", scope="module")
def _fixed() -> Tensor:
    noise = torch.randn(1, 1, 80, 88, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.avg_pool2d(noise, 9, 1)[0, 0]


def test_brightness_and_contrast_do_not_matter(fixed: Tensor) -> None:
    assert gradient_agreement(fixed, MASK, 3 * fixed + 1) == pytest.approx(1.0, abs=1e-6)
    assert gradient_agreement(fixed, MASK, -fixed) == pytest.approx(-1.0, abs=1e-6)


def test_other_edges_do_not_agree(fixed: Tensor) -> None:
    assert gradient_agreement(fixed, MASK, fixed.roll(30, 0)) < 0.7


def test_the_best_tenth_of_the_blocks_speaks(fixed: Tensor) -> None:
    """Two rows of eight blocks agree, then half a row of them."""
    for rows, agrees in ((18, True), (4, False)):
        other = fixed.roll(30, 0)
        other[:rows] = fixed[:rows]
        assert (gradient_agreement(fixed, MASK, other) > 0.9) == agrees


def test_by_hand_on_ramps() -> None:
    """Slopes (1, 0) and (1, 1): the cosine of 45 degrees, but where smoothing bends the border."""
    row, column = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    found = gradient_agreement(column, torch.ones(64, 64, dtype=torch.bool), column + row)
    assert found == pytest.approx(0.5**0.5, abs=0.03)


def test_what_is_masked_does_not_count(fixed: Tensor) -> None:
    mask = MASK.clone()
    mask[:, 40:] = False
    spoilt = torch.where(mask, fixed, 100.0 * fixed.roll(30, 0))
    assert gradient_agreement(fixed, mask, spoilt) == pytest.approx(1.0, abs=1e-6)


def test_nothing_seen_agrees_with_nothing(fixed: Tensor) -> None:
    assert gradient_agreement(fixed, ~MASK, fixed) == 0.0
    assert gradient_agreement(fixed, MASK, torch.zeros_like(fixed)) == 0.0
    thin = torch.rand(4, 90, generator=torch.Generator().manual_seed(2))
    valid = torch.ones(4, 90, dtype=torch.bool)
    assert gradient_agreement(thin, valid, 2 * thin) == pytest.approx(1.0, abs=1e-6)
