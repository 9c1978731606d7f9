from __future__ import annotations

from typing import Any

import pytest
import torch

from wsreg.datasets.sample import Sample
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.geometry.views import view_pose
from wsreg.radiographs.radiograph import Radiograph
from wsreg.rendering.render import render
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=32, columns=32, pixel_spacing_mm=(4.0, 4.0))
LABELS = {1: "left-hemipelvis", 5: "left-femur", 6: "right-femur"}


TINY_SAM: dict[str, Any] = {
    "vision_config": {
        "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 8, "window_size": 2, "global_attn_indexes": [0],
        "mlp_dim": 16, "num_pos_feats": 8,
    },
    "prompt_encoder_config": {
        "hidden_size": 16, "image_size": 32, "patch_size": 8, "mask_input_channels": 4,
    },
    "mask_decoder_config": {
        "hidden_size": 16, "mlp_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "iou_head_hidden_dim": 16,
    },
}  # fmt: skip


def box(labels: torch.Tensor, hu: torch.Tensor, label: int, where: tuple[slice, ...]) -> None:
    labels[where] = label
    hu[where] = 900


@pytest.fixture
def tiny_sam(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Config of a SAM with next to no weights, which also stands for the one from scratch."""
    monkeypatch.setattr("wsreg.training.networks.FROM_SCRATCH", TINY_SAM)
    return TINY_SAM


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
        pose = perturb(view_pose(volume.centre_mm, CAMERA, "PA"), twist, volume.centre_mm)
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
