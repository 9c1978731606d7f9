"""A result as the plain values of result.json, in the form of today and in older ones."""

from __future__ import annotations

import math
import platform
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsreg import __version__
from wsreg.errors import InputError
from wsreg.files.names import stem
from wsreg.geometry.camera_file import camera_record
from wsreg.geometry.pose_file import pose_record
from wsreg.registration.result import (
    POSE_AXES,
    BodyResult,
    RegistrationResult,
    Verdict,
    ViewResult,
)
from wsreg.volumes.bodies import WHOLE

SCHEMA_VERSION = "2"
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

AXIS_NAMES = {
    "tx": "across, along the image's columns (tx)",
    "ty": "across, along the image's rows (ty)",
    "tz": "depth (tz)",
}
"""What the translations along the camera's axes mean to a reader."""


def result_to_dict(result: RegistrationResult) -> dict[str, Any]:
    """Return what result.json says of a registration; numbers that are not finite become null."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "verdict": _verdict(result.verdict),
        **pose_record(result.camera_from_ct),
        "start_camera_from_ct": result.start_camera_from_ct,
        "pivot_mm": result.pivot_mm,
        "camera": camera_record(result.camera),
        "similarity": {"start": result.similarity_start, "end": result.similarity_end},
        "standard_deviation": standard_deviation_to_dict(result.standard_deviation),
        "bodies": {name: _body(body) for name, body in result.bodies.items()},
        "views": [_view(view) for view in result.views],
        "iterations": result.iterations,
        "renders": result.renders,
        "seconds": result.seconds,
        "method": result.method,
        "init": result.init,
        "backend": result.backend,
        "versions": {
            "wsreg": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "config": result.config,
    }
    plain: dict[str, Any] = _plain(content)
    return plain


def standard_deviation_to_dict(standard_deviation: Tensor) -> dict[str, Any]:
    """Return standard deviation [6] (rad, mm, as ``POSE_AXES``) in degrees and mm.

    The worst axis is named.
    """
    values = dict(zip(POSE_AXES, standard_deviation.tolist(), strict=True))
    translations = {axis: values[axis] for axis in AXIS_NAMES}
    weakest = max(
        translations, key=lambda a: translations[a] if math.isfinite(translations[a]) else math.inf
    )
    return {
        "about": "pivot_mm, in the camera frame",
        "rotation_deg": {axis: math.degrees(values[axis]) for axis in POSE_AXES[:3]},
        "translation_mm": translations,
        "weakest": AXIS_NAMES[weakest],
    }


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


def _body(body: BodyResult) -> dict[str, Any]:
    return {
        "labels": body.labels,
        "camera_from_ct": body.camera_from_ct,
        "pivot_mm": body.pivot_mm,
        "standard_deviation": standard_deviation_to_dict(body.standard_deviation),
        "verdict": _verdict(body.verdict),
        "shown": body.shown,
    }


def _view(view: ViewResult) -> dict[str, Any]:
    return {
        "xray": view.name,
        "camera": camera_record(view.camera),
        "camera_from_rig": view.camera_from_rig,
        "similarity": {"start": view.similarity_start, "end": view.similarity_end},
        "orientation": view.orientation,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {"status": verdict.status, "reasons": verdict.reasons}


def _plain(value: Any) -> Any:
    """Return the same content as strict JSON holds it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Tensor):
        return _plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
