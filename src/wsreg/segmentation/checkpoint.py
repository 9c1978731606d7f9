"""A trained network as two files: weights (safetensors) and what they are (JSON).  No pickles."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from wsreg.errors import InputError

WEIGHTS_FILE, CARD_FILE = "model.safetensors", "model.json"
PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".pkl")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a checkpoint is.

    Args:
        kind: architecture, ``unet`` or ``medsam``.
        config: of the architecture, plain values.
        roi_names: regions in the order of the outputs.
        size_px: image side that the network works on.
        data_sha256: of the data set that it was trained on.
        held_out: specimens that it has not seen.
        step: optimisation steps.
        wsreg: version that wrote it.
        from_scratch: whether a network that is usually pretrained began without weights.
        metrics: last measured, plain numbers.
    """

    kind: str
    config: Mapping[str, Any]
    roi_names: tuple[str, ...]
    size_px: int
    data_sha256: str = ""
    held_out: tuple[str, ...] = ()
    step: int = 0
    wsreg: str = ""
    from_scratch: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)


def save_checkpoint(folder: Path, card: ModelCard, weights: Mapping[str, Tensor]) -> None:
    """Write both files, each whole or not at all, the card last.

    Raises:
        InputError: the folder cannot be written.
    """
    from safetensors.torch import save_file

    # Copies: safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    write_whole(folder / WEIGHTS_FILE, lambda path: save_file(tensors, path))
    text = json.dumps(dataclasses.asdict(card), indent=2) + "\n"
    write_whole(folder / CARD_FILE, lambda path: path.write_text(text, encoding="utf-8"))


def read_card(folder: Path) -> ModelCard:
    """What a checkpoint says of itself.

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
        record = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
        return ModelCard(
            **{
                **record,
                "roi_names": tuple(record["roi_names"]),
                "held_out": tuple(record["held_out"]),
            }
        )
    except (ValueError, KeyError, TypeError) as error:  # of JSON and of UTF-8
        raise InputError(f"model {folder}/{CARD_FILE} is no model card: {error}") from error


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint.

    Raises:
        InputError: they cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(folder / WEIGHTS_FILE))
    except SafetensorError as error:
        raise InputError(f"model {folder}/{WEIGHTS_FILE} cannot be read: {error}") from error


def write_whole(path: Path, write: Any) -> None:
    """Call ``write`` with a temporary path beside ``path``, which then replaces it.

    Raises:
        InputError: it cannot be written.
    """
    from safetensors import SafetensorError

    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        # safetensors makes files that nobody but their owner may read.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write {path}: {reason}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
