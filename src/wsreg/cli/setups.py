"""What a command with many X-rays is asked for, as a journal keeps it: settings and hashes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsreg.files.names import given_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def run_setup(
    asked: DataclassInstance,
    unsaid: Collection[str],
    files: Mapping[str, Path],
    config: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what tells a run from others.

    Args:
        asked: the command.
        unsaid: its fields on which results do not depend, or that other entries tell.
        files: what is read, by role.
        config: what the settings come to.
    """
    from wsreg import __version__
    from wsreg.registration.result_record import as_plain

    record = dataclasses.asdict(asked)
    options = {name: value for name, value in record.items() if name not in unsaid}
    setup = {"wsreg": __version__, "options": _words(options), "inputs": identities(files)}
    return setup if config is None else setup | {"config": as_plain(config)}


def _words(value: Any) -> Any:
    """Return options as JSON has them; of a path its name, for the hash tells what is in it."""
    if isinstance(value, Mapping):
        return {str(name): _words(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_words(item) for item in value]
    return value.name if isinstance(value, Path) else value


def identities(files: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """Return name and hash of every file or folder that is read."""
    from wsreg.files.hashes import sha256_of

    return {
        role: {"name": given_name(path), "sha256": sha256_of(path)} for role, path in files.items()
    }
