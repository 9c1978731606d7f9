"""Six frames of the phantom, which moves by a few degrees and millimetres."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.radiographs.radiograph import Radiograph
from wsreg.rendering.render import render
from wsreg.volumes.volume import Volume

RATE = torch.tensor([0.006, -0.008, 0.004, 0.8, -0.6, 1.0], dtype=torch.float64)


@pytest.fixture(name="true_poses", scope="session")
def _true_poses(torso: Volume, truth: Tensor) -> list[Tensor]:
    return [perturb(truth, number * RATE, torso.centre_mm) for number in range(6)]


@pytest.fixture(name="film", scope="session")
def _film(torso: Volume, camera: Camera, true_poses: list[Tensor]) -> list[Radiograph]:
    generator = torch.Generator().manual_seed(0)
    frames = []
    for number, pose in enumerate(true_poses):
        image = render(torso, camera, pose)[0, 0]
        image = image + 0.01 * torch.randn(image.shape, generator=generator)
        frames.append(Radiograph(image=image, camera=camera, name=f"frame-{number}"))
    return frames


@pytest.fixture(name="noise", scope="session")
def _noise(camera: Camera) -> Radiograph:
    """A frame without a patient."""
    generator = torch.Generator().manual_seed(1)
    image = 4.0 + 0.02 * torch.randn((camera.rows, camera.columns), generator=generator)
    return Radiograph(image=image, camera=camera, name="noise")
