"""The pieces of a cohort while it is being made: one file each, written whole, kept until the end.

A run that was stopped goes on with the pieces that are there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError

PLAN_FILE = "plan.json"

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class PartsFolder:
    """A folder of finished pieces."""

    path: Path

    def has(self, name: str) -> bool:
        """Whether a piece is finished."""
        return self._file(name).exists()

    def save(self, name: str, arrays: Arrays) -> None:
        """Write a piece, whole or not at all.

        Raises:
            InputError: it cannot be written (the disk is full, say).
        """
        file = self._file(name)
        temporary = file.with_suffix(".tmp")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as stream:
                np.savez_compressed(stream, **dict(arrays), allow_pickle=False)
            temporary.replace(file)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise InputError(f"cannot write to {self.path}: {error.strerror or error}") from error

    def load(self, name: str) -> dict[str, NDArray[Any]]:
        """Read a finished piece."""
        with np.load(self._file(name), allow_pickle=False) as arrays:
            return dict(arrays)

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.npz"


def open_parts(path: Path, plan: Mapping[str, Any]) -> PartsFolder:
    """Begin a folder of pieces, or go on with the one that is there.

    Args:
        path: of the folder.
        plan: what is being made; pieces of another plan do not fit.

    Raises:
        InputError: the folder holds pieces of another plan, or cannot be written.
    """
    file = path / PLAN_FILE
    if file.exists():
        found = json.loads(file.read_text(encoding="utf-8"))
        differing = sorted(key for key in {*found, *plan} if found.get(key) != plan.get(key))
        if differing:
            raise InputError(
                f"{path} holds pieces of another cohort ({', '.join(differing)} differ); "
                "delete that folder or name another --out"
            )
    else:
        try:
            path.mkdir(parents=True, exist_ok=True)
            temporary = file.with_suffix(".tmp")
            temporary.write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")
            temporary.replace(file)
        except OSError as error:
            raise InputError(f"cannot write to {path}: {error.strerror or error}") from error
    return PartsFolder(path=path)
