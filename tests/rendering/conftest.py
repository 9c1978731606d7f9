"""Small volumes whose projections are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

AIR_HU = -1000.0

OBLIQUE = torch.tensor(
    [
        [-1.5, 0.1, 0.0, 10.0],
        [0.2, 1.2, 0.0, -30.0],
        [0.0, 0.3, 2.5, 50.0],
        [0.0, 0.0, 0.0, 1.0],
    ],
    dtype=torch.float64,
)
"""Left-handed, sheared, anisotropic."""


@pytest.fixture(scope="session")
def camera() -> Camera:
    return Camera(source_to_detector_mm=1000.0, rows=21, columns=37, pixel_spacing_mm=(6.0, 4.5))


@pytest.fixture(scope="session")
def noisy_volume() -> Volume:
    """Texture everywhere, three labels, an oblique grid."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 34, 44, 54, generator=generator)
    hu = torch.nn.functional.avg_pool3d(noise, 5, 1)[0, 0] * 3000 - 700
    hu[:, :10] = AIR_HU
    labels = (hu > -600).to(torch.uint8)
    labels[hu > -300] = 2
    labels[15:, 20:30, 20:40] = 3
    return Volume(hu=hu, ct_from_voxel=OBLIQUE, labels=labels)


@pytest.fixture(scope="session")
def smooth_volume() -> Volume:
    """Two blobs well inside the grid, wide against the voxels."""
    axes = [torch.arange(n, dtype=torch.float32) for n in (40, 44, 48)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    first = torch.exp(-((x - 20) ** 2 + (y - 24) ** 2 + (z - 18) ** 2) / 50)
    second = torch.exp(-((x - 30) ** 2 + (y - 18) ** 2 + (z - 25) ** 2) / 70)
    hu = 1200 * first + 800 * second - 1000
    affine = torch.diag(torch.tensor([2.0, 1.5, 2.5, 1.0], dtype=torch.float64))
    return Volume(hu=hu, ct_from_voxel=affine, air_hu=-1000.0)


def turned_pose(volume: Volume, camera: Camera, view: str, twist: list[float]) -> Tensor:
    step = torch.tensor(twist, dtype=torch.float64)
    return perturb(view_pose(volume, camera, view), step, volume.centre_mm)


@pytest.fixture(scope="session")
def poses(noisy_volume: Volume, camera: Camera) -> dict[str, Tensor]:
    twist = [0.2, -0.15, 0.1, 5.0, -7.0, 10.0]
    views = {view: turned_pose(noisy_volume, camera, view, twist) for view in ("PA", "AP", "LAT")}
    views["axial"] = turned_pose(noisy_volume, camera, "PA", [1.5, 0.1, 0.0, 0.0, 0.0, 0.0])
    views["oblique"] = turned_pose(noisy_volume, camera, "PA", [0.3, 0.785, 0.4, 0.0, 0.0, 0.0])
    return views
