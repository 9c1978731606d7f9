from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from wsreg.segmentation.checkpoint import ModelCard, save_checkpoint
from wsreg.segmentation.medsam import MedSam
from wsreg.segmentation.unet import UNet, UNetConfig

ROIS = ("left-femur", "right-femur")
TINY_SAM = {
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


@pytest.fixture
def sam_config() -> dict[str, dict[str, object]]:
    return {name: dict(part) for name, part in TINY_SAM.items()}


@pytest.fixture
def unet_folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = UNetConfig(rois=len(ROIS), channels=(4, 8))
    card = ModelCard(
        kind="unet",
        config={"channels": [4, 8], "output": "sigmoid"},
        roi_names=ROIS,
        size_px=16,
        held_out=("17-1882",),
    )
    save_checkpoint(tmp_path / "unet", card, UNet(config).state_dict())
    return tmp_path / "unet"


@pytest.fixture
def medsam_folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = MedSam(TINY_SAM)
    card = ModelCard(
        kind="medsam", config=network.config, roi_names=ROIS, size_px=32, from_scratch=True
    )
    save_checkpoint(tmp_path / "medsam", card, network.state_dict())
    return tmp_path / "medsam"


@pytest.fixture
def rewrite_card() -> Callable[..., None]:
    """Change fields of the card in a checkpoint."""

    def rewrite(folder: Path, **changes: object) -> None:
        from wsreg.segmentation.checkpoint import read_card, read_weights

        card = dataclasses.replace(read_card(folder), **changes)
        save_checkpoint(folder, card, read_weights(folder))

    return rewrite
