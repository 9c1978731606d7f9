"""The state of a training: weights and moments in one file that is replaced whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.segmentation.checkpoint import WEIGHTS_FILE, write_whole
from wsreg.training.config import TrainingConfig
from wsreg.training.data import TrainingData

STATE_FILE = "state.safetensors"


def run_signature(data: TrainingData, config: TrainingConfig, setting: Mapping[str, Any]) -> str:
    """What a state must share with the run that goes on from it.

    Args:
        data: learnt from.
        config: settings.
        setting: what else the answer depends on: weights to start from, devices, precision.
    """
    return json.dumps(
        {
            **dataclasses.asdict(config),
            **setting,
            "data": data.sha256,
            "held_out": data.held_out_names,
            "rois": data.roi_names,
        },
        sort_keys=True,
    )


def weights_sha256(folder: Path | None) -> str:
    """Of the weights that a training starts from; empty without any."""
    if folder is None:
        return ""
    with (folder / WEIGHTS_FILE).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save_state(
    folder: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    signature: str,
    step: int,
) -> None:
    """Weights and moments in one file, which is replaced whole."""
    from safetensors.torch import save_file

    tensors = {f"weights.{k}": v for k, v in network.state_dict().items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"moments.{index}.{k}": v for k, v in moments.items()}
    # Copies: safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    note = {"step": str(step), "signature": signature}
    write_whole(folder / STATE_FILE, lambda path: save_file(tensors, path, metadata=note))


def restore_state(
    folder: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    signature: str,
) -> int:
    """Put the last state back, if there is one; the step to go on from.

    Raises:
        InputError: it is of another run, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / STATE_FILE
    if not path.exists():
        return 0
    try:
        with safe_open(path, "pt") as file:
            note = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(
            f"{path} is damaged ({error}); delete it to begin the training again"
        ) from None
    # A setting that did not exist yet when the state was written had its default value.
    found = json.dumps(
        {**dataclasses.asdict(TrainingConfig()), **json.loads(note["signature"])}, sort_keys=True
    )
    if found != signature:
        raise InputError(
            f"{folder} holds the state of a training with other settings or data; "
            "name another folder or delete it"
        )
    network.load_state_dict(dict(_below(tensors, "weights.")))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(tensors, "moments."):
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = tensor
    state = optimiser.state_dict()
    optimiser.load_state_dict({**state, "state": moments})
    return int(note["step"])


def _below(tensors: dict[str, Tensor], prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), tensor
