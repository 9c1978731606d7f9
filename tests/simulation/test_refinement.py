"""Splitting voxels by cubic splines."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from wsreg.simulation.refinement import refine
from wsreg.volumes.volume import Volume


def _volume(hu: torch.Tensor, spacing_mm: Sequence[float]) -> Volume:
    affine = torch.diag(torch.tensor([*spacing_mm, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([10.0, -20.0, 30.0])
    return Volume(hu=hu, ct_from_voxel=affine, labels=torch.ones(hu.shape, dtype=torch.uint8))


def test_only_long_voxels_are_split_and_the_extent_stays() -> None:
    volume = _volume(torch.zeros(6, 5, 4), (1.0, 1.5, 4.0))
    fine = refine(volume, 1.5)
    assert tuple(fine.hu.shape) == (18, 5, 4)
    assert fine.spacing_mm == pytest.approx((1.0, 1.5, 4.0 / 3))
    torch.testing.assert_close(fine.corners_mm, volume.corners_mm)
    torch.testing.assert_close(fine.centre_mm, volume.centre_mm)
    assert fine.labels is None


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_a_cubic_is_reproduced_between_the_voxels(dim: int) -> None:
    def cubic(x: torch.Tensor) -> torch.Tensor:
        return 0.1 * x**3 - x**2 + 3 * x + 100

    shape = [1, 1, 1]
    shape[dim] = 9
    coarse = cubic(torch.arange(9.0)).reshape(shape).expand(9, 9, 9)
    spacing = [1.0, 1.0, 1.0]
    spacing[2 - dim] = 2.0
    fine = refine(_volume(coarse, spacing), 1.0).hu
    centres = ((torch.arange(18.0) + 0.5) / 2 - 0.5)[1:-1]
    shape[dim] = 16
    expected = cubic(centres).reshape(shape).expand(*[16 if i == dim else 9 for i in range(3)])
    torch.testing.assert_close(fine.narrow(dim, 1, 16), expected, rtol=1e-5, atol=1e-3)


def test_padding_below_air_does_not_ring() -> None:
    hu = torch.full((8, 8, 8), -2048, dtype=torch.int16)
    hu[4:] = -1000
    fine = refine(_volume(hu, (3.0, 3.0, 3.0)), 1.0).hu
    torch.testing.assert_close(fine, torch.full((24, 24, 24), -1000.0))
