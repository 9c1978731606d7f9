"""Named tensors in one safetensors file with a few words about them.  No pickles.

A check sum goes with them: safetensors has none, and a training that went on from a changed bit
would end with other weights in silence.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.memory import check_fits, in_gigabytes
from wsreg.files.reading_from import reading_from
from wsreg.files.whole import staged_file

NOTE, CHECK_SUM = "note", "crc32"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], note: Mapping[str, str]) -> None:
    """Write tensors from any device, whole or not at all.

    Args:
        path: of the file.
        tensors: of any shapes and types, by name.
        note: kept in the file's header.

    Raises:
        InputError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # Copies: safetensors refuses tensors that share memory, as tied weights do.
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with staged_file(path) as temporary:
        try:
            save_file(copies, temporary, metadata=_header({**note, CHECK_SUM: _check_sum(copies)}))
        except SafetensorError as error:  # its way to say that the disk is full
            raise InputError(f"cannot write to {path}: {error}") from error


def _header(note: Mapping[str, str]) -> dict[str, str]:
    """Return a note as one entry: safetensors writes several in an order of chance."""
    return {NOTE: json.dumps(note, sort_keys=True)}


def _check_sum(tensors: Mapping[str, Tensor]) -> str:
    """Return the CRC-32 of all bytes of tensors on the CPU, in the order of their names."""
    found = 0
    for name in sorted(tensors):
        found = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, found)
    return str(found)


def _note_in(header: Mapping[str, str]) -> dict[str, str]:
    """Return the note of a header, also of an older one with an entry for each word."""
    found: dict[str, str] = json.loads(header[NOTE]) if NOTE in header else dict(header)
    return found


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a file, to the CPU, and the note in its header.

    Files of others, and older ones, have no check sum.

    Raises:
        InputError: there is none, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    with reading_from(path, "cannot be read", SafetensorError):
        if not path.is_file():  # it would map whatever else has the name
            raise InputError(f"{path} cannot be read: there is no such file")
        check_fits(path.stat().st_size, path, f"{in_gigabytes(path.stat().st_size)} of tensors")
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            note = _note_in(file.metadata() or {})
    expected = note.pop(CHECK_SUM, None)
    if expected is not None and expected != _check_sum(tensors):
        raise InputError(f"{path} cannot be read: it is garbled, its check sum does not fit")
    return tensors, note
