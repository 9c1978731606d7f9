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
from wsreg.files.damage import say_damaged
from wsreg.files.journal import DAMAGED
from wsreg.files.plans import differing_keys
from wsreg.files.tensor_file import read_tensors, write_tensors
from wsreg.files.whole import writing_to
from wsreg.networks.checkpoint import load_weights

STATE_FILE = "state.safetensors"

LONGEST_VALUE = 40
"""Of a setting that differs, so many letters are shown."""

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

    A damaged one is laid aside, and the training begins again.

    Args:
        folder: of the training.
        network, optimiser: made as for a new run.
        plan: of this run.
        defaults: what a setting was that did not exist yet when the state was written.

    Raises:
        InputError: it is of another plan, or cannot be written.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return 0
    try:
        tensors, note = read_tensors(path)
        signature, step = json.loads(note["signature"]), int(note["step"])
        found = {RENAMED.get(key, key): value for key, value in signature.items()}
        moments = _moments(_below(tensors, "moments."))
    except (InputError, LookupError, ValueError, AttributeError) as error:
        return _begin_again(path, error)
    _check_same({**defaults, **found}, {**defaults, **plan}, folder)
    try:
        _check_moments(moments, optimiser)
    except (LookupError, ValueError) as error:
        return _begin_again(path, error)
    load_weights(network, _below(tensors, "weights."), folder)
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    return step


def _begin_again(path: Path, error: Exception) -> int:
    """Put a damaged state aside, say so, and return the step to begin at."""
    damaged = path.with_name(path.name + DAMAGED)
    with writing_to(damaged):
        path.replace(damaged)
    say_damaged(
        f"{path} is damaged ({error}); the training begins again (it is kept as {damaged.name})"
    )
    return 0


def _moments(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Return what an optimiser keeps, by the number of the parameter and its own name."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = tensor
    return moments


def _check_moments(
    moments: Mapping[int, Mapping[str, Tensor]], optimiser: torch.optim.Optimizer
) -> None:
    """Raise ValueError for moments that are not of the parameters, or not finite.

    torch would take them, and train on with NaN, or fail at the next step.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for index, kept in moments.items():
        for name, tensor in kept.items():
            of_one = tensor.ndim == 0 or tensor.shape == parameters[index].shape
            if not of_one or not bool(torch.isfinite(tensor).all()):
                raise ValueError(f"{name} of parameter {index} is not one's that is trained here")


def _check_same(found: Mapping[str, Any], plan: Mapping[str, Any], folder: Path) -> None:
    """Raise InputError, with both values of what differs, unless a state is of this plan."""
    differing = differing_keys(found, plan)
    if differing:
        values = (f"{key} is {_brief(found, key)}, not {_brief(plan, key)}" for key in differing)
        raise InputError(
            f"{folder} holds the state of a training with other settings or data "
            f"({'; '.join(values)}); name another folder or delete it"
        )


def _brief(settings: Mapping[str, Any], key: str) -> str:
    if key not in settings:
        return "absent"
    text = str(settings[key])
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
