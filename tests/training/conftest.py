from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from wsreg.datasets.sample import Sample
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.geometry.views import pose_towards
from wsreg.radiographs.radiograph import Radiograph
from wsreg.rendering.render import render
from wsreg.training.config import FitConfig
from wsreg.training.encoder_config import EncoderConfig
from wsreg.training.segmentation_config import SegmentationConfig
from wsreg.training.segmentation_data import SegmentationData, load_segmentation_data
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=32, columns=32, pixel_spacing_mm=(4.0, 4.0))
TINY = SegmentationConfig(
    size_px=32,
    channels=(4, 8),
    rendered_per_specimen=3,
    fit=FitConfig(batch=2, steps=6, save_every=2),
)
LABELS = {1: "left-hemipelvis", 5: "left-femur", 6: "right-femur"}


def box(labels: torch.Tensor, hu: torch.Tensor, label: int, where: tuple[slice, ...]) -> None:
    labels[where] = label
    hu[where] = 900


@pytest.fixture
def tiny_sam(monkeypatch: pytest.MonkeyPatch, sam_config: dict[str, Any]) -> dict[str, Any]:
    """The tiny SAM, which also stands for the one from scratch."""
    monkeypatch.setattr("wsreg.training.segmentation_networks.FROM_SCRATCH", sam_config)
    return sam_config


@pytest.fixture(scope="session")
def volume() -> Volume:
    """A block of water with three boxes of bone, 2 mm voxels, centred on the origin."""
    hu = torch.full((30, 30, 40), 0, dtype=torch.int16)
    labels = torch.zeros(hu.shape, dtype=torch.uint8)
    box(labels, hu, 1, (slice(18, 27), slice(10, 20), slice(12, 28)))
    box(labels, hu, 5, (slice(4, 15), slice(10, 18), slice(24, 32)))
    box(labels, hu, 6, (slice(4, 15), slice(12, 20), slice(8, 16)))
    ct_from_voxel = torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64))
    ct_from_voxel[:3, 3] = torch.tensor([-39.0, -29.0, -29.0])
    return Volume(hu=hu, labels=labels, ct_from_voxel=ct_from_voxel, label_names=LABELS)


@pytest.fixture(scope="session")
def samples(volume: Volume) -> list[Sample]:
    """Two X-rays of it; in the second the right femur is not valid."""
    made = []
    for index in range(2):
        twist = torch.tensor([0.0, 0.1 * index, 0.0, 5.0 * index, 0.0, 0.0], dtype=torch.float64)
        pose = perturb(pose_towards(volume.centre_mm, CAMERA, "PA"), twist, volume.centre_mm)
        image = render(volume, CAMERA, pose[None])[0, 0]
        made.append(
            Sample(
                specimen="a",
                projection=f"{index:03d}",
                volume=volume,
                radiograph=Radiograph(
                    image=image, mask=torch.ones(32, 32, dtype=torch.bool), camera=CAMERA
                ),
                poses={"pelvis": pose, "left-femur": pose}
                | ({} if index else {"right-femur": pose}),
                landmarks_mm={
                    "FH-l": torch.tensor([17.0, -1.0, -10.0], dtype=torch.float64),
                    "FH-r": torch.tensor([-15.0, 3.0, -10.0], dtype=torch.float64),
                },
            )
        )
    return made


@pytest.fixture(scope="session")
def small() -> EncoderConfig:
    """Settings of an encoder's training that takes no time."""
    return EncoderConfig(
        width=4,
        hidden=8,
        size_px=32,
        voxel_mm=4.0,
        loss_px=16,
        window_px=5,
        validated=8,
        fit=FitConfig(optimiser="adam", learning_rate=1e-3, batch=8, steps=6, save_every=2),
    )


@pytest.fixture(scope="session")
def tiny() -> SegmentationConfig:
    """Settings of a training that takes no time."""
    return TINY


@pytest.fixture(scope="session")
def data(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> SegmentationData:
    """Specimens a and b, of which b is held out."""

    def by_specimen(name: str) -> list[Sample]:
        return [dataclasses.replace(sample, specimen=name) for sample in samples]

    cache = tmp_path_factory.mktemp("cache")
    return load_segmentation_data(by_specimen, ("a", "b"), ("b",), TINY, cache, "abc")
