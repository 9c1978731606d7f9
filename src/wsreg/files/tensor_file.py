"""Named tensors in one safetensors file with a few words about them.  No pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.memory import check_fits, in_gigabytes
from wsreg.files.reading_from import reading_from
from wsreg.files.whole import staged_file

NOTE = "note"


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
            save_file(copies, temporary, metadata=_header(note) or None)
        except SafetensorError as error:  # its way to say that the disk is full
            raise InputError(f"cannot write to {path}: {error}") from error


def _header(note: Mapping[str, str]) -> dict[str, str]:
    """Return a note as one entry: safetensors writes several in an order of chance."""
    return {NOTE: json.dumps(note, sort_keys=True)} if len(note) > 1 else dict(note)


def _note_in(header: Mapping[str, str]) -> dict[str, str]:
    """Return the note of a header, also of one that was written with several entries."""
    found: dict[str, str] = json.loads(header[NOTE]) if NOTE in header else dict(header)
    return found


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a file, to the CPU, and the note in its header.

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
            return tensors, _note_in(file.metadata() or {})
