"""A result as the plain values of result.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from wsreg.geometry.camera_file import camera_record
from wsreg.geometry.pose_file import pose_record
from wsreg.registration.result import (
    POSE_AXES,
    BodyResult,
    RegistrationResult,
    Verdict,
    ViewResult,
)

SCHEMA_VERSION = "2"

AXIS_NAMES = {
    "tx": "across, along the image's columns (tx)",
    "ty": "across, along the image's rows (ty)",
    "tz": "depth (tz)",
}
"""What the translations along the camera's axes mean to a reader."""


def result_to_dict(result: RegistrationResult) -> dict[str, Any]:
    """Return what result.json says of a registration; numbers that are not finite become null.

    Inputs, notes, versions and files are known to who writes it.
    """
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
        "config": result.config,
    }
    plain: dict[str, Any] = as_plain(content)
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


def as_plain(value: Any) -> Any:
    """Return the same content as strict JSON holds it."""
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, Tensor):
        return as_plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
