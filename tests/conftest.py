"""Settings for all tests."""

from __future__ import annotations

import copy
import signal
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import torch

# Small tensors, busy machines: one thread is faster and steadier than two that wait for each other.
torch.set_num_threads(1)

# Timings never decide a test.
hypothesis.settings.register_profile("wsreg", deadline=None)
hypothesis.settings.load_profile("wsreg")

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


@pytest.fixture
def sam_config() -> dict[str, Any]:
    """Config of a SAM with next to no weights."""
    return copy.deepcopy(TINY_SAM)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Have Ctrl-C interrupt this process and its children; in the background it may be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
