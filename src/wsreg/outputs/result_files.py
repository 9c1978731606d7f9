"""The folder of one registration: result.json, pose.json, pose.tfm and overlay.png."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsreg import __version__
from wsreg.errors import InputError
from wsreg.files.hashes import sha256_of
from wsreg.files.json_files import read_json, write_json
from wsreg.files.whole import staged_folder, write_text
from wsreg.geometry.camera_file import camera_record
from wsreg.geometry.pose_file import pose_record
from wsreg.outputs.pictures import overlay_picture, write_png
from wsreg.registration.result import POSE_AXES, RegistrationResult

SCHEMA_VERSION = "1"

AXIS_NAMES = {
    "tx": "across, along the image's columns (tx)",
    "ty": "across, along the image's rows (ty)",
    "tz": "depth (tz)",
}
"""What the translations along the camera's axes mean to a reader."""


def write_result(
    result: RegistrationResult,
    folder: str | Path,
    *,
    inputs: Mapping[str, str | Path],
    notes: Sequence[str] = (),
) -> None:
    """Write result.json, pose.json, pose.tfm and overlay.png, all of them or none.

    Args:
        folder: made if absent; other files in it are left alone.
        inputs: the file or DICOM folder behind each role (``"xray"``, ``"ct"``, ...); only its
            name and hash are written.
        notes: sentences on what was found, assumed or overridden in the inputs.

    Raises:
        InputError: the folder cannot be written or an input cannot be read.
    """
    content = result_to_dict(result) | {
        "inputs": {role: _identity(Path(path)) for role, path in inputs.items()},
        "notes": list(notes),
    }
    with staged_folder(folder) as staging:
        write_json(staging / "result.json", content)
        write_json(staging / "pose.json", pose_record(result.camera_from_ct))
        write_itk_transform(result.camera_from_ct, staging / "pose.tfm")
        write_png(overlay_picture(result), staging / "overlay.png")


def result_to_dict(result: RegistrationResult) -> dict[str, Any]:
    """Return what result.json says of a registration; numbers that are not finite become null."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "verdict": {"status": result.verdict.status, "reasons": result.verdict.reasons},
        **pose_record(result.camera_from_ct),
        "start_camera_from_ct": result.start_camera_from_ct,
        "pivot_mm": result.pivot_mm,
        "camera": camera_record(result.camera),
        "similarity": {"start": result.similarity_start, "end": result.similarity_end},
        "standard_deviation": standard_deviation_to_dict(result.standard_deviation),
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


def write_itk_transform(camera_from_ct: Tensor, path: str | Path) -> None:
    """Write a pose [4,4] as an ITK transform that takes a CT point to the camera point (LPS mm).

    An affine transform: it holds every rotation exactly, and 3D Slicer writes its linear
    transforms the same way.  Slicer reads an ITK file as the transform *from* the parent, so
    there it has to be inverted to move the CT into the camera frame.

    Source: https://slicer.readthedocs.io/en/latest/developer_guide/modules/transforms.html
    """
    parameters = [*camera_from_ct[:3, :3].flatten().tolist(), *camera_from_ct[:3, 3].tolist()]
    lines = (
        "#Insight Transform File V1.0",
        "#Transform 0",
        "Transform: AffineTransform_double_3_3",
        f"Parameters: {' '.join(map(repr, parameters))}",
        "FixedParameters: 0 0 0",
    )
    write_text(path, "\n".join(lines) + "\n")


def read_result(folder: str | Path) -> dict[str, Any]:
    """Read the result.json of a folder.

    Raises:
        InputError: there is none, it is not JSON, or it has another schema version.
    """
    path = Path(folder) / "result.json"
    content = read_json(path)
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(f'{path} must have schema_version "{SCHEMA_VERSION}", got {version!r}')
    result: dict[str, Any] = content
    return result


def _identity(path: Path) -> dict[str, str]:
    return {"name": path.resolve().name, "sha256": sha256_of(path)}


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
