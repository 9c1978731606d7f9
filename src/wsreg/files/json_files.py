"""JSON files: written strictly, read with clear errors."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.reading_from import read_bytes
from wsreg.files.whole import write_text

MOST_BYTES = 1 << 28
"""Larger is no JSON that this package reads."""


def write_json(path: str | Path, content: Any) -> None:
    """Write strict JSON, whole or not at all; NaN and infinity are a ``ValueError``.

    Raises:
        InputError: the file cannot be written.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read the content of a JSON file.

    Raises:
        InputError: for a missing or unreadable file, invalid JSON, or a name twice in one object.
    """
    path = Path(path)
    content = read_bytes(path, "cannot be read", MOST_BYTES)
    try:
        text = content.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} must be valid JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, none of whose names repeats: the last one would win unseen."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{', '.join(repeated)} repeatedly in one object")
    return content


def read_json_object(
    path: str | Path, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, Any]:
    """Read the fields of a JSON object; every required one is there and none is unknown.

    Raises:
        InputError: for a missing or unreadable file, invalid JSON, missing or unknown fields.
    """
    return check_fields(read_json(path), str(path), required, optional)


def check_fields(
    content: Any, name: str, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, Any]:
    """Return content that is a JSON object with every required field and no unknown one.

    Raises:
        InputError: for anything else; ``name`` says of what.
    """
    if not isinstance(content, dict):
        raise InputError(f"{name} must hold a JSON object, got {type(content).__name__}")
    missing = [field for field in required if field not in content]
    if missing:
        raise InputError(f"{name} lacks {', '.join(missing)}")
    unknown = sorted(set(content) - set(required) - set(optional))
    if unknown:
        known = ", ".join((*required, *optional))
        raise InputError(f"{name} has unknown fields {', '.join(unknown)}; known are {known}")
    return content
