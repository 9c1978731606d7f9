"""Poses written in the formats and conventions of other tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.json_files import write_json
from wsreg.files.whole import staged_file, write_text
from wsreg.geometry.calibration_writing import write_opencv_pose
from wsreg.geometry.diffdrr import diffdrr_from_camera_from_centred_ct
from wsreg.geometry.itk_transform import write_itk_transform
from wsreg.geometry.matrix_file import MARK
from wsreg.geometry.pose_file import pose_record
from wsreg.geometry.pose_forms import DIFFDRR
from wsreg.geometry.rigid import inverse_rigid, rigid
from wsreg.vocabulary import PoseConvention

_SEPARATORS = {".txt": " ", ".dat": " ", ".csv": ","}
ENDINGS = (".json", ".tfm", ".h5", ".yml", ".yaml", ".xml", *_SEPARATORS, ".npy")


def write_pose(
    camera_from_ct: Tensor,
    path: Path,
    convention: PoseConvention = "camera_from_ct",
    ct_centre_mm: Tensor | None = None,
) -> str:
    """Write a pose [4,4] (LPS mm -> camera mm) and return in words what was written.

    Args:
        camera_from_ct: the pose.
        path: its ending says the format (``ENDINGS``).
        convention: what the numbers mean.
        ct_centre_mm: [3] centre of the CT's grid (LPS mm), for DiffDRR.

    Raises:
        InputError: a format that cannot hold the convention, or what it needs is missing.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{path} must end in one of {', '.join(ENDINGS)}")
    if ending in (".yml", ".yaml", ".xml"):
        if convention != "camera_from_ct":
            raise InputError(f"{path}: OpenCV's rvec and tvec are camera_from_ct, not {convention}")
        write_opencv_pose(camera_from_ct, path)
        return "rvec and tvec, camera_from_ct"
    matrix = _in_convention(camera_from_ct, convention, ct_centre_mm)
    if ending in (".tfm", ".h5"):
        write_itk_transform(matrix, path, convention)
        return f"ITK transform, TransformPoint is {convention}"
    if ending == ".json":
        ours = convention == "camera_from_ct"
        other = {"convention": convention, "matrix": matrix.tolist(), "units": "mm"}
        write_json(path, pose_record(matrix) if ours else other)
    else:
        _write_matrix(matrix, path, convention)
    said = convention == "camera_from_ct" or ending != ".npy"
    unsaid = f"; the file does not say so: read it with --pose-convention {convention}"
    return f"4x4 matrix, {convention}" + ("" if said else unsaid)


def _in_convention(
    camera_from_ct: Tensor, convention: PoseConvention, ct_centre_mm: Tensor | None
) -> Tensor:
    if convention == "camera_from_ct":
        return camera_from_ct
    if convention == "ct_from_camera":
        return inverse_rigid(camera_from_ct)
    if convention not in DIFFDRR:
        raise InputError(
            f"a pose alone cannot be written as {convention}: it needs the file's extrinsic too"
        )
    if ct_centre_mm is None:
        raise InputError(f"{convention} counts from the centre of the CT, give it (--ct)")
    orientation, reverse = DIFFDRR[convention]
    centred = camera_from_ct @ rigid(torch.eye(3, dtype=torch.float64), ct_centre_mm)
    return diffdrr_from_camera_from_centred_ct(
        centred, orientation=orientation, reverse_x_axis=reverse
    )


def _write_matrix(matrix: Tensor, path: Path, convention: str) -> None:
    if path.suffix.lower() == ".npy":
        with staged_file(path) as temporary:
            np.save(temporary, matrix.numpy())
        return
    separator = _SEPARATORS[path.suffix.lower()]
    rows = [separator.join(map(repr, row)) for row in matrix.tolist()]
    write_text(path, "\n".join([f"{MARK}{convention}", *rows]) + "\n")
