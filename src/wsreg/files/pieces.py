"""A run's finished pieces as arrays in a folder: one file each, written whole, by any process.

A run that was stopped goes on with the pieces that are there.  For many small results that one
process writes and people read, see :mod:`wsreg.files.journal`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.files.arrays import read_arrays
from wsreg.files.damage import say_damaged
from wsreg.files.json_files import read_json, write_json
from wsreg.files.plans import differing_keys
from wsreg.files.whole import staged_file, writing_to

PLAN_FILE = "plan.json"

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """A folder of finished pieces, each known by a name such as ``17-1882/003``.

    Args:
        path: of the folder.
    """

    path: Path

    def has(self, name: str) -> bool:
        """Tell whether a piece is finished."""
        return self._file(name).exists()

    def drop_damaged(self, arrays: Mapping[str, Collection[str]]) -> None:
        """Delete pieces that cannot be read, and say so: they are made again.

        Args:
            arrays: the names of those that a piece must hold at least, by the piece's name.
        """
        for name in filter(self.has, arrays):
            try:
                whole = self.load(name).keys() >= set(arrays[name])
            except InputError:
                whole = False
            if not whole:
                say_damaged(f"{self._file(name)} is damaged and made again")
                with writing_to(self._file(name)):
                    self._file(name).unlink()

    def save(self, name: str, arrays: Arrays) -> None:
        """Write a piece, whole or not at all.

        Raises:
            InputError: it cannot be written (the disk is full, say).
        """
        with staged_file(self._file(name)) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **dict(arrays))  # type: ignore[arg-type]

    def load(self, name: str) -> dict[str, NDArray[Any]]:
        """Read a finished piece.

        Raises:
            InputError: there is none of this name, or it is damaged.
        """
        return read_arrays(self._file(name), hint="delete it to have it made again")

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.npz"


def open_pieces(path: Path, plan: Mapping[str, Any], *, of: str = "run") -> Pieces:
    """Begin a folder of pieces, or go on with the one that is there.

    Args:
        path: of the folder.
        plan: what is being made, in JSON's types; pieces of another plan do not fit.
        of: what the pieces make, for the error.

    Raises:
        InputError: the folder holds pieces of another plan, or cannot be written.
    """
    file = path / PLAN_FILE
    found = _plan_in(file)
    if found is None:
        for piece in sorted(path.rglob("*.npz")):  # nobody knows of what
            with writing_to(piece):
                piece.unlink()
        write_json(file, plan)
        return Pieces(path=path)
    differing = differing_keys(found, plan)
    if differing:
        raise InputError(
            f"{path} holds pieces of another {of} ({', '.join(differing)} differ); "
            "delete that folder or name another --out"
        )
    return Pieces(path=path)


def _plan_in(file: Path) -> object:
    """Return the plan of a folder, None if none can be read there."""
    if not file.exists():
        return None
    try:
        return read_json(file)
    except InputError as error:
        say_damaged(f"{error}; all pieces in that folder are made again")
        return None
