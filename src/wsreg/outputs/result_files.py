"""The folder of one registration: result.json, poses as JSON and for ITK, and overlay.png."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsreg import __version__
from wsreg.errors import InputError
from wsreg.files.hashes import sha256_of
from wsreg.files.json_files import read_json, write_json
from wsreg.files.names import as_path, different, file_name, given_name
from wsreg.files.whole import staged_folder
from wsreg.geometry.itk_transform import write_itk_transform
from wsreg.geometry.pose_file import pose_record
from wsreg.outputs.pictures import overlay_picture, write_png
from wsreg.outputs.result_record import in_todays_form
from wsreg.outputs.trace_files import TRACE_FILES, write_trace
from wsreg.registration.result import RegistrationResult
from wsreg.volumes.bodies import VIEW_PREFIX

RESULT_NAMES = ("result.json", "pose.json", "pose.tfm", "overlay.png")
"""Files that every result has."""

_POSE_FILE = re.compile(r"pose-[\w.-]+\.(json|tfm)")
"""Of a body or a view; which of these there are, and whether a trace, depends on the result."""


def write_result(
    result: RegistrationResult,
    folder: str | Path,
    *,
    inputs: Mapping[str, str | Path],
    notes: Sequence[str] = (),
) -> list[str]:
    """Write result.json, pose.json, pose.tfm and overlay.png, all of them or none.

    With several bodies every body has its ``pose-NAME.json`` and ``pose-NAME.tfm``, in the first
    view; with several views every other one has its ``pose-view-NAME.json``, the first body's pose
    in it.  A result with a trace has ``trace.csv``, ``convergence.png`` and ``overlay.gif``.

    Args:
        result: what was found.
        folder: made if absent; poses and trace that an earlier result put there go, other files
            stay.
        inputs: the file or DICOM folder behind each role (``"xray"``, ``"ct"``, ...); only its
            name and hash are written.
        notes: sentences on what was found, assumed or overridden in the inputs.

    Returns:
        The names of the files.

    Raises:
        InputError: the folder cannot be written or an input cannot be read.
    """
    folder = Path(folder)
    poses = _poses(result)
    files = ["result.json", *poses, "overlay.png", *(TRACE_FILES if result.trace else ())]
    content = result.to_dict() | {
        "versions": {
            "wsreg": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "inputs": {role: _identity(Path(path)) for role, path in inputs.items()},
        "notes": list(notes),
        "files": files,
    }
    with staged_folder(folder, outdated_files(folder)) as staging:
        write_json(staging / "result.json", content)
        for name, pose in poses.items():
            if name.endswith(".tfm"):
                write_itk_transform(pose, staging / name)
            else:
                write_json(staging / name, pose_record(pose))
        write_png(overlay_picture(result), staging / "overlay.png")
        if result.trace:
            write_trace(result, staging)
    return files


def read_result(path: str | Path) -> dict[str, Any]:
    """Read a result.json, or that of a folder; an older schema comes in the form of today's.

    Returns:
        Its fields (docs/conventions.md), plain lists and numbers.

    Raises:
        InputError: there is none, it is not JSON, or it is of an unknown schema version.
    """
    path = as_path(path, "result")
    if path.suffix.lower() != ".json" or path.is_dir():
        path /= "result.json"
    return in_todays_form(read_json(path), str(path))


def _poses(result: RegistrationResult) -> dict[str, Tensor]:
    """Return [4,4] poses by the names of their files."""
    poses = {"pose.json": result.camera_from_ct, "pose.tfm": result.camera_from_ct}
    if len(result.bodies) > 1:
        for name, body in result.bodies.items():
            for ending in ("json", "tfm"):
                poses[f"pose-{name}.{ending}"] = body.camera_from_ct
    names = different(file_name(view.name).removeprefix(VIEW_PREFIX) for view in result.views)
    for number, name in list(enumerate(names))[1:]:
        poses[f"pose-{VIEW_PREFIX}{name}.json"] = result.pose_in_view(number)
    return poses


def outdated_files(folder: Path) -> set[str]:
    """Return the names of poses of bodies and views, and of a trace, that a result came with."""
    try:
        files = read_result(folder).get("files", [])
    except InputError:
        return set()  # there is none, or it is of a version that we know nothing of
    names = {name for name in files if isinstance(name, str)}
    return {name for name in names if name in TRACE_FILES or _POSE_FILE.fullmatch(name)}


def _identity(path: Path) -> dict[str, str]:
    return {"name": given_name(path), "sha256": sha256_of(path)}
