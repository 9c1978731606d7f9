"""Hounsfield units to densities."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wsreg.simulation.hounsfield import material_density, material_grid
from wsreg.volumes.volume import Volume


@pytest.mark.parametrize(
    ("hu", "expected"),
    [
        (-2048.0, (0.0, 0.0, 0.0)),
        (-1000.0, (0.0, 0.0, 0.0)),
        (-900.0, (0.0, 0.0, 0.0)),
        (-800.0, (0.2, 0.0, 0.0)),
        (-100.0, (0.9, 0.0, 0.0)),
        (0.0, (1.0, 0.0, 0.0)),
        (100.0, (1.1, 0.0, 0.0)),
        (850.0, (0.55, 0.96, 0.0)),
        (1600.0, (0.0, 1.92, 0.0)),
        (2750.0, (0.0, 0.96, 2.27)),
        (3071.0, (0.0, 0.0, 4.54)),
    ],
)
def test_density_of_each_material(hu: float, expected: tuple[float, ...]) -> None:
    density = material_density(torch.full((1, 1, 1), hu))
    assert density.ravel().tolist() == pytest.approx(expected, abs=1e-6)


def test_whole_number_volumes_are_converted() -> None:
    density = material_density(torch.tensor([[[-1000, 0, 1600]]], dtype=torch.int16))
    np.testing.assert_allclose(density[0, 0, :, 0], [0.0, 1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(density[0, 0, :, 1], [0.0, 0.0, 1.92], atol=1e-6)
    assert not density[..., 2].any()


def test_a_volume_may_say_what_air_is() -> None:
    lung = torch.full((1, 1, 1), -950.0)
    assert material_density(lung)[..., 0].item() == 0.0
    assert material_density(lung, air_hu=-1000.0)[..., 0].item() == pytest.approx(0.05)


@pytest.mark.parametrize(("highest", "channels"), [(2400, 2), (3071, 3)])
def test_titanium_takes_part_only_where_there_is_metal(highest: int, channels: int) -> None:
    hu = torch.tensor([[[-1000, 0, highest]]], dtype=torch.int16)
    grid = material_grid(Volume(hu=hu, ct_from_voxel=torch.eye(4)))
    assert grid.materials == ("soft tissue", "cortical bone", "titanium")[:channels]
    assert grid.density.shape == (1, 1, 3, channels)
