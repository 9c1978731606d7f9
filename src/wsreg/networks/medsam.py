"""MedSAM: the Segment Anything model, asked for one box at a time, with one box for each ROI.

Source: J. Ma et al., "Segment anything in medical images", Nature Communications 15, 2024.  The
network is transformers' ``SamModel``; the weights (``wanglab/medsam-vit-base`` or others of this
format) lie in a folder that the user gives.  Nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsreg.errors import InputError
from wsreg.extras import check_extra
from wsreg.files.json_files import read_json

ABSENT_LOGIT = -20.0
"""Logit of an ROI without a box."""

WINDOW = (0.005, 0.995)
"""Quantiles of an image that become 0 and 1, as for MedSAM's own training."""

QUANTILE_PIXELS = 2**22
"""Larger images are sampled for their quantiles, of which torch sorts no more than 2**24 pixels."""

FROM_SCRATCH: Mapping[str, Any] = {
    "vision_config": {
        "hidden_size": 96, "output_channels": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
        "image_size": 96, "patch_size": 8, "window_size": 6, "global_attn_indexes": [1, 3],
        "mlp_dim": 384, "num_pos_feats": 32,
    },
    "prompt_encoder_config": {
        "hidden_size": 64, "image_size": 96, "patch_size": 8, "mask_input_channels": 16,
    },
    "mask_decoder_config": {
        "hidden_size": 64, "mlp_dim": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
        "iou_head_hidden_dim": 64,
    },
}  # fmt: skip
"""A small SAM to train where there are no weights: 0.8 instead of 94 million numbers.  What it
reaches says little of MedSAM."""


class MedSam(nn.Module):
    """Windowed images [B,1,H,W] and boxes [B,R,4] (their pixels) to logits [B,R,H,W]."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Make a network of transformers' ``SamConfig`` as plain values, its weights at random."""
        check_extra("networks", "transformers")
        from transformers import SamConfig, SamModel

        super().__init__()
        self.sam = SamModel(SamConfig.from_dict(dict(config)))
        _begin(self.sam)

    @property
    def config(self) -> dict[str, Any]:
        """Return plain values from which the network can be made again."""
        return dict(json.loads(self.sam.config.to_json_string()))

    @property
    def size_px(self) -> int:
        """Return the side of the images that it takes."""
        return int(self.sam.config.vision_config.image_size)

    def forward(self, images: Tensor, boxes: Tensor) -> Tensor:
        """Return logits; an ROI whose box is NaN is not there.

        Images are resampled to SAM's own size.
        """
        size, inner = (images.shape[2], images.shape[3]), (self.size_px, self.size_px)
        absent = boxes.isnan().any(dim=-1)
        everything = torch.tensor([0.0, 0.0, size[1] - 1.0, size[0] - 1.0]).to(boxes)
        prompts = scaled_boxes(torch.where(absent[..., None], everything, boxes), size, inner)
        pixels = functional.interpolate(images, inner, mode="bilinear", antialias=True)
        answer = self.sam(
            pixel_values=pixels.expand(-1, 3, -1, -1), input_boxes=prompts, multimask_output=False
        )
        logits = functional.interpolate(answer.pred_masks[:, :, 0], size, mode="bilinear")
        return logits.masked_fill(absent[..., None, None], ABSENT_LOGIT)


def load_medsam(folder: Path) -> MedSam:
    """Load a MedSAM with the weights in a folder, its image and prompt encoders frozen.

    Only the mask decoder is left to be trained.

    Raises:
        InputError: the folder lacks config.json or model.safetensors, or they are not of a SAM.
    """
    check_extra("networks", "transformers")
    from safetensors import SafetensorError
    from transformers import SamModel
    from transformers.utils import logging

    network = MedSam(_sam_config(folder))
    logging.disable_progress_bar()
    try:
        network.sam, read = SamModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"MedSAM folder {folder} holds no readable weights: {reason}") from None
    lacking = sorted({*read["missing_keys"], *(str(key) for key in read["mismatched_keys"])})
    if lacking:
        raise InputError(
            f"MedSAM folder {folder} must hold all weights of a SAM, {len(lacking)} are missing or "
            f"of another shape, {lacking[0]} first"
        )
    network.requires_grad_(False)
    network.sam.mask_decoder.requires_grad_(True)
    return network


def scaled_boxes(boxes: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Take boxes [...,4] in an image of (rows, columns) ``old`` to it resampled to ``new``."""
    rows, columns = new[0] / old[0], new[1] / old[1]
    scale = torch.tensor([columns, rows, columns, rows]).to(boxes)
    return (boxes + 0.5) * scale - 0.5


def windowed(image: Tensor) -> Tensor:
    """Stretch the quantiles ``WINDOW`` of images [B,1,H,W] from 0 to 1; differentiable."""
    ends = torch.tensor(WINDOW, dtype=image.dtype, device=image.device)
    values = image.flatten(1)
    values = values[:, :: 1 + values.shape[1] // QUANTILE_PIXELS]
    low, high = torch.quantile(values, ends, dim=1)[:, :, None, None, None]
    stretched: Tensor = ((image - low) / (high - low).clamp_min(1e-6)).clamp(0.0, 1.0)
    return stretched


def _begin(sam: nn.Module) -> None:
    """Draw first weights that can be learnt from.

    SAM's own are so small that no gradient gets through, and transformers encodes positions by
    waves shorter than a pixel, which tell nothing about where a box is; SAM's have a deviation
    of 1 over the width of an image.
    """
    for layer in sam.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
            layer.reset_parameters()
    for name, values in sam.named_parameters():
        if name.endswith("positional_embedding"):
            nn.init.normal_(values)
        elif name.endswith("pos_embed"):
            nn.init.normal_(values, std=0.02)


def _sam_config(folder: Path) -> dict[str, Any]:
    if not (folder / "model.safetensors").is_file():
        held = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        raise InputError(
            f"MedSAM folder {folder} must hold config.json and model.safetensors "
            f"(pickled weights are not read), it has {', '.join(held[:6]) or 'nothing'}"
        )
    try:
        config = read_json(folder / "config.json")
    except InputError as error:
        raise InputError(f"MedSAM folder {folder} must hold config.json: {error}") from None
    if not isinstance(config, dict) or config.get("model_type") != "sam":
        kind = config.get("model_type") if isinstance(config, dict) else None
        raise InputError(
            f"MedSAM folder {folder} must hold a model of the type sam, got {kind or 'no type'}"
        )
    return config
