from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from wsreg.networks.checkpoint import ModelCard, save_checkpoint
from wsreg.networks.medsam import MedSam
from wsreg.networks.unet import UNet, UNetConfig

ROIS = ("left-femur", "right-femur")


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
def medsam_folder(tmp_path: Path, sam_config: dict[str, Any]) -> Path:
    torch.manual_seed(0)
    network = MedSam(sam_config)
    card = ModelCard(
        kind="medsam", config=network.config, roi_names=ROIS, size_px=32, from_scratch=True
    )
    save_checkpoint(tmp_path / "medsam", card, network.state_dict())
    return tmp_path / "medsam"


@pytest.fixture
def rewrite_card() -> Callable[..., None]:
    """Change fields of the card in a checkpoint."""

    def rewrite(folder: Path, **changes: Any) -> None:
        from wsreg.networks.checkpoint import read_card, read_weights

        card = dataclasses.replace(read_card(folder), **changes)
        save_checkpoint(folder, card, read_weights(folder))

    return rewrite
