"""The forms in which files write poses down, and what they mean.  Nothing ambiguous is guessed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.json_files import check_fields
from wsreg.geometry.arrays import as_float64, finite_numbers, in_words
from wsreg.geometry.conventions import camera_from_ct_from_deepfluoro
from wsreg.geometry.diffdrr import camera_from_centred_ct, is_mirrored
from wsreg.geometry.opencv_fields import rigid_of_fields, with_our_names
from wsreg.geometry.rigid import inverse_rigid, rigid
from wsreg.geometry.rigidity import check_rigid, mended_rigid
from wsreg.vocabulary import PoseConvention

_OURS = ("camera_from_ct", "frame", "units")
_UNITS = ("frame", "units")
_QUATERNIONS = ("quaternion_xyzw", "quaternion_wxyz")
_BARE_QUATERNIONS = ("quaternion", "quat", "q", "orientation_quaternion")
_OPENCV = ("R", "t", "rvec", "tvec")
_OF_CAMERA = (
    "K", "distortion", "rows", "columns", "pixel_spacing_mm", "source_to_detector_mm", "name"
)  # fmt: skip
"""What else a file of OpenCV's R and t says, of no use for the pose."""

DiffDrr = tuple[str | None, bool]
DIFFDRR: dict[str, DiffDrr] = {
    "diffdrr-ap": ("AP", False),
    "diffdrr-ap-reversed-x": ("AP", True),
    "diffdrr-pa": ("PA", False),
    "diffdrr-pa-reversed-x": ("PA", True),
}
"""Orientation and ``reverse_x_axis`` of the conventions with these names."""

MIRROR_NOTE = (
    "DiffDRR's image is mirrored with this orientation and reverse_x_axis: the pose belongs to the "
    "X-ray with left and right exchanged (--mirror)."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseForm:
    """Numbers of a pose file.

    Args:
        matrix: [4,4] as it stands there, rigid.
        what: what the numbers are, for the note that says how they are taken.
        convention: what the file says that they mean; None where it does not.
        named: whether its fields say that it is ``camera_from_ct``.
        diffdrr: orientation and ``reverse_x_axis``, where the file gives them.
        notes: so far.
    """

    matrix: Tensor
    what: str
    convention: PoseConvention | None = None
    named: bool = False
    diffdrr: DiffDrr | None = None
    notes: tuple[str, ...] = ()

    def as_camera_from_ct(
        self, convention: PoseConvention | None, name: str
    ) -> tuple[Tensor, tuple[str, ...], bool]:
        """Return [4,4] ``camera_from_ct``, notes, and whether CT points count from its centre.

        Raises:
            InputError: a convention that these numbers alone cannot be in.
        """
        meant = self.convention or convention
        diffdrr = self.diffdrr or DIFFDRR.get(meant or "")
        if diffdrr is not None:
            orientation, reverse = diffdrr
            pose = camera_from_centred_ct(
                self.matrix, orientation=orientation, reverse_x_axis=reverse
            )
            mirrored = is_mirrored(orientation=orientation, reverse_x_axis=reverse)
            return pose, (*self.notes, *([MIRROR_NOTE] if mirrored else [])), True
        if meant == "deepfluoro" and self.convention is None:
            raise InputError(
                f"{name} must hold extrinsic, cam_to_vol and rot_180_for_up for the convention "
                "deepfluoro, got a matrix alone"
            )
        if meant == "ct_from_camera":
            return inverse_rigid(self.matrix), self.notes, False
        notes = self.notes
        if meant is None and not self.named:
            taken = f"{name}: {self.what} is taken for camera_from_ct (LPS mm -> camera mm)"
            notes = (*notes, f"{taken}; --pose-convention names another meaning.")
        return self.matrix, notes, False


def form_of_matrix(
    matrix: Any, name: str, what: str, convention: str | None = None, **more: Any
) -> PoseForm:
    """Return the form of a 3x4 or 4x4 matrix.

    Raises:
        InputError: of another size, or not rigid.
    """
    found = as_float64(matrix)
    if found is not None and found.shape == (3, 4):
        found = torch.cat((found, torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)))
    if found is None or found.shape != (4, 4):
        size = "" if found is None else f"{list(found.shape)}, "
        raise InputError(f"{name} must hold a 3x4 or 4x4 matrix, got {size}{in_words(matrix)}")
    exact, note = mended_rigid(found, name)
    return PoseForm(
        matrix=exact,
        what=what,
        convention=_checked_convention(convention, name),
        notes=() if note is None else (note,),
        **more,
    )


def form_of_fields(content: Any, name: str, *, strict: bool) -> PoseForm:
    """Return the form of named values, of JSON or of OpenCV's FileStorage.

    Args:
        content: the values.
        name: of the file.
        strict: whether fields that mean nothing here are refused.

    Raises:
        InputError: fields that are missing, unknown, ambiguous, or no pose.
    """
    if not isinstance(content, dict):
        raise InputError(f"{name} must hold a JSON object or a matrix, got {in_words(content)}")
    if "schema_version" in content:  # result.json: the pose of its first body
        content = {field: content[field] for field in _OURS if field in content}
    _check_frame(content, name)
    if content.get("convention") in ("deepfluoro", "diffdrr"):
        of_convention = _of_deepfluoro if content["convention"] == "deepfluoro" else _of_diffdrr
        return of_convention(content, name)
    if not set(_QUATERNIONS + _BARE_QUATERNIONS).isdisjoint(content):
        return _of_quaternion(content, name)
    if "matrix" in content:
        return _of_matrix(content, name)
    named = with_our_names(content, name)
    if not set(_OPENCV).isdisjoint(named):
        return _of_opencv(named, name, strict=strict)
    return _of_ours(content, name)


def _of_ours(content: dict[str, Any], name: str) -> PoseForm:
    fields = check_fields(content, name, _OURS)
    where = f"{name}: camera_from_ct"
    exact, note = mended_rigid(fields["camera_from_ct"], where)
    return PoseForm(
        matrix=exact, what="", convention="camera_from_ct", notes=() if note is None else (note,)
    )


def _of_matrix(content: dict[str, Any], name: str) -> PoseForm:
    fields = check_fields(content, name, ("matrix",), ("convention", *_UNITS))
    return form_of_matrix(
        fields["matrix"], f"{name}: matrix", "its matrix", fields.get("convention")
    )


def _of_opencv(fields: dict[str, Any], name: str, *, strict: bool) -> PoseForm:
    """Return the form of R and t, or rvec and tvec: x_camera = R x_ct + t."""
    found, notes = rigid_of_fields(fields, name)
    used = [field for field in _OPENCV if field in fields]
    known = ("convention", *_UNITS, *_OF_CAMERA)
    unused = sorted(set(fields) - {*used, *known})
    if strict:
        check_fields(fields, name, used, known)
    if unused:
        notes = (*notes, f"{name}: {', '.join(unused)} are not used for the pose.")
    turn = "R" if "R" in fields else "rvec"
    form = form_of_matrix(found, f"{name}: {turn}", "x_camera = R x + t", fields.get("convention"))
    return dataclasses.replace(form, notes=(*form.notes, *notes))


def _of_quaternion(content: dict[str, Any], name: str) -> PoseForm:
    bare = [field for field in _BARE_QUATERNIONS if field in content]
    if bare:
        raise InputError(
            f"{name}: {bare[0]} must name the order of its numbers, as quaternion_xyzw (SciPy, "
            "ROS) or quaternion_wxyz (Eigen, PyTorch3D), with translation_mm"
        )
    orders = [field for field in _QUATERNIONS if field in content]
    if len(orders) > 1:
        raise InputError(f"{name} must hold one quaternion, got {' and '.join(orders)}")
    needed = (orders[0], "translation_mm")
    fields = check_fields(content, name, needed, ("convention", *_UNITS))
    numbers = finite_numbers(fields[orders[0]], f"{name}: {orders[0]}", (4,))
    x, y, z, w = (numbers if orders == ["quaternion_xyzw"] else numbers.roll(-1)).tolist()
    length = float(numbers.norm())
    if abs(length - 1) > 1e-3:
        raise InputError(f"{name}: {orders[0]} must have the length 1, got {length:.6g}")
    rows = (
        (w * w + x * x - y * y - z * z, 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), w * w - x * x + y * y - z * z, 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), w * w - x * x - y * y + z * z),
    )
    rotation = torch.tensor(rows, dtype=torch.float64) / length**2
    shift = finite_numbers(fields["translation_mm"], f"{name}: translation_mm", (3,))
    form = form_of_matrix(rigid(rotation, shift), name, "its quaternion", fields.get("convention"))
    if abs(length - 1) <= 1e-6:
        return form
    note = f"{name}: {orders[0]} had the length {length:.6g} and is brought to 1."
    return PoseForm(
        matrix=form.matrix, what=form.what, convention=form.convention, notes=(*form.notes, note)
    )


def _of_deepfluoro(content: dict[str, Any], name: str) -> PoseForm:
    """Return the form of DeepFluoro's ``extrinsic`` and ``cam-to-...-vol`` (see conventions.py)."""
    needed = ("convention", "extrinsic", "cam_to_vol", "rot_180_for_up")
    fields = check_fields(content, name, needed, _UNITS)
    upside_down = fields["rot_180_for_up"]
    if upside_down not in (True, False, 0, 1):
        raise InputError(f"{name}: rot_180_for_up must be true or false, got {upside_down!r}")
    pose = camera_from_ct_from_deepfluoro(
        check_rigid(fields["extrinsic"], f"{name}: extrinsic"),
        check_rigid(fields["cam_to_vol"], f"{name}: cam_to_vol"),
        rot_180_for_up=bool(upside_down),
    )
    flipped = "rows" if upside_down else "columns"
    note = f"{name}: the pose belongs to DeepFluoro's image with its {flipped} reversed."
    return PoseForm(matrix=pose, what="", convention="deepfluoro", notes=(note,))


def _of_diffdrr(content: dict[str, Any], name: str) -> PoseForm:
    needed = ("convention", "matrix", "orientation", "reverse_x_axis")
    fields = check_fields(content, name, needed, ("units",))
    if not isinstance(fields["reverse_x_axis"], bool):
        raise InputError(
            f"{name}: reverse_x_axis must be true or false, got {fields['reverse_x_axis']!r}"
        )
    matrix = as_float64(fields["matrix"])
    if matrix is not None and matrix.shape == (1, 4, 4):
        matrix = matrix[0]
    how = (fields["orientation"], fields["reverse_x_axis"])
    given = fields["matrix"] if matrix is None else matrix
    return form_of_matrix(given, f"{name}: matrix", "its matrix", diffdrr=how)


def _check_frame(content: dict[str, Any], name: str) -> None:
    for field, expected in (("frame", "LPS"), ("units", "mm")):
        if field in content and content[field] != expected:
            raise InputError(f"{name}: {field} must be {expected!r}, got {content[field]!r}")


def _checked_convention(convention: Any, name: str) -> PoseConvention | None:
    if convention is None:
        return None
    known = [word for word in get_args(PoseConvention) if word != "deepfluoro"]
    if convention not in known:
        raise InputError(
            f"{name}: convention must be one of {', '.join(known)}, diffdrr or deepfluoro, "
            f"got {convention!r}"
        )
    found: PoseConvention = convention
    return found
