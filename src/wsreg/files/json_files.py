"""JSON files: written strictly, read with clear errors."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.plans import plain_plan
from wsreg.files.reading_from import read_bytes
from wsreg.files.whole import write_text

CHECK_SUM = "crc32"
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


def write_sealed_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write an object as :func:`write_json` does, with a check sum as its last field.

    Raises:
        InputError: the file cannot be written.
    """
    plain = plain_plan(content)
    write_json(path, {**plain, CHECK_SUM: _check_sum(plain)})


def read_sealed_json(path: str | Path) -> Any:
    """Read JSON as :func:`read_json` does, without the check sum; older files have none.

    Raises:
        InputError: as :func:`read_json`, or the check sum does not fit.
    """
    content = read_json(path)
    if isinstance(content, dict) and CHECK_SUM in content:
        expected = content.pop(CHECK_SUM)
        if expected != _check_sum(content):
            raise InputError(
                f"{path} cannot be read: it is garbled, its check sum ({CHECK_SUM}) does not fit"
            )
    return content


def _check_sum(content: Mapping[str, Any]) -> int:
    """Return the CRC-32 of what an object says, however it is laid out."""
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


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
