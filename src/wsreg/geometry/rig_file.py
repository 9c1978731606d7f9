"""rig.json: several cameras in one frame, as this package or as OpenCV writes them down."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.json_files import check_fields, read_json_object
from wsreg.geometry.arrays import finite_numbers
from wsreg.geometry.camera import Camera
from wsreg.geometry.camera_file import camera_from_record, camera_record
from wsreg.geometry.conventions import camera_from_opencv
from wsreg.geometry.rig import Rig, RigView, nearest_point_to_axes
from wsreg.geometry.rigid import rigid, transform_points
from wsreg.geometry.views import ISOCENTRE_FRACTION, middle_ray

NOMINAL_DISTANCE_MM = 1000.0
"""Source-to-detector distance, at least, where neither that nor the pixel spacing is known: the
projection is the same for any, but the patient must lie before the detector."""

SKEW_TOLERANCE = 1e-4
"""Skew over focal length that is taken for zero: a tenth of a pixel, a thousand pixels away."""

SPACING_TOLERANCE = 1e-2
"""How far the two distances may differ that the focal lengths and the pixel spacing give."""

_OPENCV = ("rows", "columns")
_OPENCV_SIZE = ("pixel_spacing_mm", "source_to_detector_mm")
_OPENCV_OPTIONAL = ("name", *_OPENCV_SIZE)


def read_rig(path: str | Path) -> Rig:
    """Read rig.json (docs/conventions.md).

    Each view is a ``camera_from_rig`` with a ``camera``, which may be left out where the X-ray
    carries it; or OpenCV's ``K``, ``R``, ``t``; or a 3x4 matrix ``P`` ~ K [R|t], of any scale and
    sign.  R and t map rig points to the camera: x_camera = R x + t.  K fixes the distance over
    the pixel spacing only; if neither is given, the distance is taken to be 1000 mm, or what puts
    the point where the views' axes meet at 0.7 of it in the view where that is farthest: it makes
    no difference to the projection.  Views without a name are view-1, view-2, ...

    Raises:
        InputError: for a missing or invalid file, units other than mm, fields that are missing or
            unknown, matrices that are not rigid or belong to no camera, or what :class:`Rig`
            refuses.
    """
    fields = read_json_object(path, ("views", "units"))
    if fields["units"] != "mm":
        raise InputError(f"{path}: units must be 'mm', got {fields['units']!r}")
    entries = fields["views"]
    if not isinstance(entries, list):
        raise InputError(f"{path}: views must be a list, got {type(entries).__name__}")
    try:
        rig = Rig(views=tuple(_view(entry, i) for i, entry in enumerate(entries, start=1)))
        nominal = [_is_nominal(entry) for entry in entries]
        return _with_patient_before_detectors(rig, nominal) if any(nominal) else rig
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def rig_record(rig: Rig) -> dict[str, Any]:
    """Return the fields of rig.json, in this package's form."""
    views = []
    for view in rig.views:
        record: dict[str, Any] = {"name": view.name}
        if view.camera is not None:
            record["camera"] = camera_record(view.camera)
        views.append({**record, "camera_from_rig": view.camera_from_rig.tolist()})
    return {"views": views, "units": "mm"}


def for_xrays(rig: Rig, names: Sequence[str]) -> Rig:
    """Return the rig with its views in the order of X-rays.

    By name, in any case, if every X-ray has a view's name, else the first X-ray is the first view's
    and so on.

    Args:
        rig: the views, in any order.
        names: of the X-rays, such as their files' names without the ending.

    Raises:
        InputError: if there are not as many X-rays as views, or only some have a view's name, and
            their order says otherwise.
    """
    if len(names) != len(rig.views):
        raise InputError(
            "rig must have one view for each X-ray, got "
            f"{_count(len(rig.views), 'view')} and {_count(len(names), 'X-ray')}"
        )
    views = {view.name.casefold(): view for view in rig.views}
    found = [views.get(name.casefold()) for name in names]
    matched = [view for view in found if view is not None]
    if {id(view) for view in matched} == {id(view) for view in rig.views}:
        return Rig(views=tuple(matched))
    for name, named, view in zip(names, found, rig.views, strict=True):
        if named not in (None, view):
            raise InputError(
                f"X-rays must be named as the rig's views or come in their order, got {name!r} in "
                f"the place of view {view.name!r}"
            )
    return rig


def how_matched(rig: Rig, names: Sequence[str]) -> str:
    """Return a sentence on how X-rays are the views of a rig that is in their order.

    Args:
        rig: as :func:`for_xrays` returns it.
        names: of the X-rays.
    """
    *most, last = [view.name for view in rig.views]
    views = f"views {', '.join(most)} and {last}" if most else f"view {last}"
    same = all(a.casefold() == b.name.casefold() for a, b in zip(names, rig.views, strict=True))
    how = "by name" if same else "in their order, for their files have other names"
    return f"X-rays are the rig's {views}, {how}."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def decompose_projection(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return K [3,3] and ``camera_from_rig`` [4,4], float64, of a projection matrix P [3,4].

    P and -P, and every other multiple of it, are the same camera.  K is upper triangular with a
    positive diagonal and a last entry of 1, so that the 3x3 part of the pose is a rotation.

    Raises:
        InputError: if the left 3x3 part is singular, as of parallel rays.
    """
    matrix = matrix.to(torch.float64)
    if float(torch.linalg.det(matrix[:, :3])) < 0:
        matrix = -matrix
    # RQ of M is QR of its rows in reverse order, transposed
    q, r = torch.linalg.qr(matrix[:, :3].flip(0).T)
    intrinsic, rotation = r.T.flip(0, 1), q.T.flip(0)
    diagonal = intrinsic.diagonal()
    if float(diagonal.abs().min()) <= 1e-12 * float(diagonal.abs().max()):
        raise InputError("P must be of a point source, its left 3x3 part is singular")
    signs = torch.where(diagonal < 0, -1.0, 1.0).to(torch.float64)
    translation = torch.linalg.solve(intrinsic * signs, matrix[:, 3])
    pose = rigid(signs[:, None] * rotation, translation)
    return intrinsic * signs / intrinsic[2, 2].abs(), pose


def _view(entry: Any, number: int) -> RigView:
    """Return the view of one entry, in whichever form it is."""
    if not isinstance(entry, dict):
        raise InputError(f"rig views must hold JSON objects, got {type(entry).__name__}")
    name = entry.get("name", f"view-{number}")
    where = f"rig view {name!r}"
    if "P" in entry:
        fields = check_fields(entry, where, ("P", *_OPENCV), _OPENCV_OPTIONAL)
        intrinsic, pose = _decomposed(_numbers(fields, "P", where, (3, 4)), where)
        camera: Camera | None = _opencv_camera(intrinsic, fields, where)
    elif not entry.keys().isdisjoint(("K", "R", "t")):
        fields = check_fields(entry, where, ("K", "R", "t", *_OPENCV), _OPENCV_OPTIONAL)
        pose = rigid(
            _numbers(fields, "R", where, (3, 3)),
            _numbers(fields, "t", where, (3,), (3, 1), (1, 3)).reshape(3),
        )
        camera = _opencv_camera(_numbers(fields, "K", where, (3, 3)), fields, where)
    else:
        fields = check_fields(entry, where, ("camera_from_rig",), ("name", "camera"))
        pose = _numbers(fields, "camera_from_rig", where, (4, 4))
        record = fields.get("camera")
        camera = None if record is None else camera_from_record(record, f"camera of {where}")
    return RigView(name=name, camera=camera, camera_from_rig=pose)


def _is_nominal(entry: dict[str, Any]) -> bool:
    """Return whether a view's matrices leave its distance open."""
    return not entry.keys().isdisjoint(("K", "P")) and entry.keys().isdisjoint(_OPENCV_SIZE)


def _with_patient_before_detectors(rig: Rig, nominal: Sequence[bool]) -> Rig:
    """Return the rig with its nominal distances beyond the point where the axes meet."""
    poses = [view.camera_from_rig for view in rig.views]
    forward = torch.tensor((0.0, 0.0, 1.0), dtype=torch.float64)
    axes = [forward if view.camera is None else middle_ray(view.camera) for view in rig.views]
    point = nearest_point_to_axes(poses, axes)
    if point is None:
        return rig
    depth_mm = max(float(transform_points(pose, point[None])[0, 2]) for pose in poses)
    scale = max(1.0, round(depth_mm / ISOCENTRE_FRACTION) / NOMINAL_DISTANCE_MM)
    return Rig(
        views=tuple(
            dataclasses.replace(view, camera=_scaled(view.camera, scale)) if is_nominal else view
            for view, is_nominal in zip(rig.views, nominal, strict=True)
        )
    )


def _scaled(camera: Camera | None, scale: float) -> Camera:
    """Return a camera of the same projection whose detector is further away."""
    assert camera is not None  # K or P gave one
    rows_mm, columns_mm = camera.pixel_spacing_mm
    return dataclasses.replace(
        camera,
        source_to_detector_mm=scale * camera.source_to_detector_mm,
        pixel_spacing_mm=(scale * rows_mm, scale * columns_mm),
    )


def _decomposed(matrix: Tensor, where: str) -> tuple[Tensor, Tensor]:
    try:
        return decompose_projection(matrix)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _opencv_camera(intrinsic: Tensor, fields: dict[str, Any], where: str) -> Camera:
    """Return the camera of K; the projection is K's to the last digit, whatever the spacing."""
    if set(_OPENCV_SIZE) <= fields.keys():
        raise InputError(
            f"{where} must have pixel_spacing_mm or source_to_detector_mm, not both: K gives the "
            "other"
        )
    skew, focal_px = float(intrinsic[0, 1]), float(intrinsic[0, 0])
    if abs(skew) > SKEW_TOLERANCE * abs(focal_px):
        raise InputError(
            f"{where} must have pixel rows and columns at right angles, got a skew of {skew:.4g} "
            f"with a focal length of {focal_px:.6g} px"
        )
    intrinsic = intrinsic.clone()
    intrinsic[0, 1] = 0.0
    try:
        return camera_from_opencv(
            intrinsic,
            rows=fields["rows"],
            columns=fields["columns"],
            source_to_detector_mm=_distance_mm(intrinsic, fields),
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _distance_mm(intrinsic: Tensor, fields: dict[str, Any]) -> float:
    """Return the source-to-detector distance: given, or by the pixel spacing, or nominal."""
    given = Camera(  # which checks the numbers
        source_to_detector_mm=fields.get("source_to_detector_mm", NOMINAL_DISTANCE_MM),
        rows=fields["rows"],
        columns=fields["columns"],
        pixel_spacing_mm=fields.get("pixel_spacing_mm", (1.0, 1.0)),
    )
    if "pixel_spacing_mm" not in fields:
        return given.source_to_detector_mm
    by_columns = float(intrinsic[0, 0]) * given.pixel_spacing_mm[1]
    by_rows = float(intrinsic[1, 1]) * given.pixel_spacing_mm[0]
    if not math.isclose(by_columns, by_rows, rel_tol=SPACING_TOLERANCE):
        raise InputError(
            "pixel_spacing_mm must give one source-to-detector distance with K, "
            f"got {by_columns:.1f} mm by columns and {by_rows:.1f} mm by rows"
        )
    return math.sqrt(by_columns * by_rows)


def _numbers(fields: dict[str, Any], name: str, where: str, *shapes: tuple[int, ...]) -> Tensor:
    return finite_numbers(fields[name], f"{where} {name}", *shapes)
