"""result.json read back, in the form of today and in older ones."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from wsreg.errors import InputError
from wsreg.files.names import stem
from wsreg.registration.result_record import SCHEMA_VERSION
from wsreg.volumes.bodies import WHOLE

ONE_BODY_ONE_VIEW = "1"
"""The schema before there were ``bodies`` and ``views``."""

_OF_BODY = ("camera_from_ct", "pivot_mm", "standard_deviation", "verdict")
_OF_VIEW = ("camera", "similarity")
"""What a result of that schema says of its body and of its view."""
_OF_OLDER = (*_OF_BODY, *_OF_VIEW)
_OF_RESULT = (*_OF_OLDER, "bodies", "views")
"""What is read of a result, and so must be there."""
_KINDS: Mapping[str, type] = {
    "bodies": dict, "views": list, "verdict": dict, "config": dict, "inputs": dict, "files": list,
}  # fmt: skip
"""What these fields are, in a result that has them."""


def in_todays_form(content: Any, name: str) -> dict[str, Any]:
    """Return the content of a result.json, of this schema or an older one, as this schema has it.

    A result of schema 1 is that of one body, ``ct``, in one view; how much of it the X-ray showed
    is not known.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        InputError: it is of no schema that is known, or lacks what its schema has.
    """
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version not in (SCHEMA_VERSION, ONE_BODY_ONE_VIEW):
        raise InputError(
            f'{name} must have schema_version "{SCHEMA_VERSION}" or "{ONE_BODY_ONE_VIEW}", '
            f"got {version!r}"
        )
    today = version == SCHEMA_VERSION
    missing = [field for field in (_OF_RESULT if today else _OF_OLDER) if field not in content]
    if missing:
        raise InputError(f"{name} lacks {', '.join(missing)}")
    for field, kind in _KINDS.items():
        if not isinstance(content.get(field, kind()), kind):
            raise InputError(
                f"{name} must have {'a list' if kind is list else 'an object'} as {field}, "
                f"got {reprlib.repr(content[field])}"
            )
    known: dict[str, Any] = content
    return known if today else _from_one_body_in_one_view(content)


def _from_one_body_in_one_view(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result of schema 1 as today's has it."""
    labels = content.get("config", {}).get("render_labels", [])
    body = {"labels": labels, **{field: content[field] for field in _OF_BODY}, "shown": None}
    xray = content.get("inputs", {}).get("xray", {})
    file = xray.get("name", "xray") if isinstance(xray, Mapping) else "xray"
    view = {
        "xray": stem(Path(str(file))),
        **{field: content[field] for field in _OF_VIEW},
        "camera_from_rig": torch.eye(4).tolist(),
        "orientation": "none",
    }
    return {**content, "schema_version": SCHEMA_VERSION, "bodies": {WHOLE: body}, "views": [view]}
