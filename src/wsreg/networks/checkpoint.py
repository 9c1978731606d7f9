"""A trained network as two files: weights (safetensors) and what they are (JSON).  No pickles.

A checkpoint may be of any network; its card's ``kind`` says of which.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.files.json_files import read_sealed_json, write_sealed_json
from wsreg.files.reading_from import reading_from
from wsreg.files.tensor_file import read_tensors, write_tensors

WEIGHTS_FILE, CARD_FILE = "model.safetensors", "model.json"
PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".pkl")

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a checkpoint is.

    Args:
        kind: architecture, such as ``unet`` or ``medsam``.
        config: of the architecture, plain values from which the network can be made again.
        size_px: image side that the network works on.
        roi_names: regions in the order of the outputs; none for a network that finds no regions.
        data_sha256: of the data set that it was trained on.
        held_out: specimens that it has not seen.
        step: optimisation steps.
        wsreg: version that wrote it.
        from_scratch: whether a network that is usually pretrained began without weights.
        people: how many virtual people it has learnt, none of whom is in a data set.
        metrics: last measured, plain numbers.
    """

    kind: str
    config: Mapping[str, Any]
    size_px: int
    roi_names: tuple[str, ...] = ()
    data_sha256: str = ""
    held_out: tuple[str, ...] = ()
    step: int = 0
    wsreg: str = ""
    from_scratch: bool = False
    people: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)


def save_checkpoint(folder: Path, card: ModelCard, weights: Mapping[str, Tensor]) -> None:
    """Write both files, each whole or not at all, the card last.

    Raises:
        InputError: the folder cannot be written.
    """
    write_tensors(folder / WEIGHTS_FILE, weights, {})
    write_sealed_json(folder / CARD_FILE, dataclasses.asdict(card))


def read_card(folder: Path) -> ModelCard:
    """Read what a checkpoint says of itself.

    Raises:
        InputError: there is none, it is a pickle, or its card cannot be read.
    """
    if folder.suffix in PICKLE_SUFFIXES:
        raise InputError(
            f"model {folder} must be a folder with {WEIGHTS_FILE}; pickled checkpoints "
            f"({folder.suffix}) can run code and are not read"
        )
    if not (folder / WEIGHTS_FILE).is_file() or not (folder / CARD_FILE).is_file():
        found = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        raise InputError(
            f"model {folder} must hold {WEIGHTS_FILE} and {CARD_FILE}, "
            f"it has {', '.join(found[:6]) or 'nothing'}"
        )
    try:
        record = read_sealed_json(folder / CARD_FILE)
        tuples = {name: tuple(record.get(name, ())) for name in ("roi_names", "held_out")}
        return ModelCard(**{**record, **tuples})
    except (InputError, AttributeError, TypeError) as error:
        raise InputError(f"model {folder}/{CARD_FILE} is no model card: {error}") from error


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read the weights of a checkpoint.

    Raises:
        InputError: they cannot be read.
    """
    return read_tensors(folder / WEIGHTS_FILE)[0]


def load_network(make: Callable[[], Network], folder: Path) -> Network:
    """Return a network with the weights of a checkpoint, for use and not for training.

    A card may tell of any size: memory is taken when the shapes are known to be those of the file.

    Args:
        make: returns a new one, of the architecture that the card tells of.
        folder: of the checkpoint.

    Raises:
        InputError: as :func:`load_weights`, or the weights cannot be read.
    """
    weights = read_weights(folder)
    with torch.device("meta"):  # which has shapes alone
        _check_shapes(make(), weights, folder)
    network = make()
    load_weights(network, weights, folder)
    network.eval().requires_grad_(False)
    return network


def load_weights(network: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    """Put weights into a network.

    Raises:
        InputError: a tensor is missing, unknown, of another shape, or not finite.
    """
    _check_shapes(network, weights, folder)
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(
                f"model {folder} must have finite weights, {name} holds NaN or infinity"
            )
    with reading_from(f"model {folder}", "does not fit its architecture"):
        network.load_state_dict(weights)


def _check_shapes(network: nn.Module, weights: Mapping[str, Tensor], folder: Path) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    differing = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if differing:
        name = differing[0]
        raise InputError(
            f"model {folder} does not fit its architecture: {name} must be "
            f"{wanted.get(name, 'absent')}, got {found.get(name, 'nothing')}"
        )
