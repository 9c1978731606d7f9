"""Images for measures, and what a Gauss-Newton model of them should be."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

HEIGHT, WIDTH = 16, 19


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Float64: fixed [H,W], moving [1,H,W], jacobian [1,H,W,3], and mask [H,W] bool."""

    fixed: Tensor
    moving: Tensor
    jacobian: Tensor
    mask: Tensor

    def moved(self, step: Tensor) -> Tensor:
        """Return the moving image [H,W] after a step [3]."""
        image: Tensor = self.moving[0] + self.jacobian[0] @ step
        return image


@pytest.fixture(name="pair", scope="session")
def _pair() -> Pair:
    """A moving image somewhat like the fixed one; a corner is masked out."""
    generator = torch.Generator().manual_seed(5)
    fixed, other = torch.rand(2, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)
    jacobian = torch.rand(1, HEIGHT, WIDTH, 3, generator=generator, dtype=torch.float64) - 0.5
    mask = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    mask[:6, :4] = False
    return Pair(fixed=fixed, moving=(fixed + 0.5 * other)[None], jacobian=jacobian, mask=mask)
