"""The state of a training: weights and moments in one file that is replaced whole."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.files.plans import differing_keys
from wsreg.files.tensor_file import read_tensors, write_tensors
from wsreg.networks.checkpoint import load_weights

STATE_FILE = "state.safetensors"

RENAMED = {"xray_share": "xray_fraction"}
"""Settings that states written before have under another name."""


def settings_of(config: Any) -> dict[str, Any]:
    """Return the fields of a dataclass and of the dataclasses in it, side by side."""
    settings: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        settings |= settings_of(value) if dataclasses.is_dataclass(value) else {field.name: value}
    return settings


def save_state(
    folder: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    plan: Mapping[str, Any],
    step: int,
) -> None:
    """Write weights and moments to one file, which is replaced whole.

    Args:
        folder: of the training.
        network, optimiser: as they are after ``step`` steps.
        plan: all that the weights depend on, in JSON's types; a run that goes on has the same.
        step: steps made.

    Raises:
        InputError: the file cannot be written.
    """
    tensors = {f"weights.{k}": v for k, v in network.state_dict().items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"moments.{index}.{k}": v for k, v in moments.items()}
    note = {"step": str(step), "signature": json.dumps(plan, sort_keys=True)}
    write_tensors(folder / STATE_FILE, tensors, note)


def restore_state(
    folder: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    plan: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> int:
    """Put the last state back, if there is one, and return the step to go on from.

    Args:
        folder: of the training.
        network, optimiser: made as for a new run.
        plan: of this run.
        defaults: what a setting was that did not exist yet when the state was written.

    Raises:
        InputError: it is of another plan, or damaged.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return 0
    try:
        tensors, note = read_tensors(path)
    except InputError as error:
        raise InputError(
            f"{path} is damaged ({error}); delete it to begin the training again"
        ) from None
    found = {RENAMED.get(key, key): value for key, value in json.loads(note["signature"]).items()}
    differing = differing_keys({**defaults, **found}, {**defaults, **plan})
    if differing:
        raise InputError(
            f"{folder} holds the state of a training with other settings or data "
            f"({', '.join(differing)} differ); name another folder or delete it"
        )
    load_weights(network, _below(tensors, "weights."), folder)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(tensors, "moments.").items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    return int(note["step"])


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
