"""The mean of global and local NCC."""

from __future__ import annotations

import pytest
import torch

from wsreg.similarity.local_ncc import ncc_loss, prepare_windows
from wsreg.similarity.multiscale_ncc import (
    linearize_multiscale,
    multiscale_loss,
    prepare_multiscale,
)


def test_it_is_the_weighted_mean_of_its_parts() -> None:
    generator = torch.Generator().manual_seed(0)
    fixed, moving = torch.rand(2, 20, 20, generator=generator, dtype=torch.float64)
    jacobian = torch.rand(20, 20, 6, generator=generator, dtype=torch.float64)
    mask = torch.ones(20, 20, dtype=torch.bool)
    prepared = prepare_multiscale(fixed, mask, (6, 9), global_weight=0.4)
    assert sum(weight for weight, _ in prepared.terms) == pytest.approx(1.0)
    parts = [(0.4, None, 1), (0.3, 6, 2), (0.3, 9, 3)]
    expected = sum(
        weight * float(ncc_loss(prepare_windows(fixed, mask, size, stride), moving))
        for weight, size, stride in parts
    )
    assert float(multiscale_loss(prepared, moving)) == pytest.approx(expected, abs=1e-12)
    linear = linearize_multiscale(prepared, moving, jacobian)
    assert float(linear.value) == pytest.approx(expected, abs=1e-12)


def test_without_windows_it_is_global() -> None:
    fixed = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    prepared = prepare_multiscale(fixed, torch.ones(8, 8, dtype=torch.bool), ())
    assert float(multiscale_loss(prepared, 2 * fixed + 1)) == pytest.approx(0.0, abs=1e-5)
