"""rig.json: several cameras in one frame, as this package or as OpenCV writes them down."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.json_files import check_fields
from wsreg.geometry.arrays import finite_numbers
from wsreg.geometry.camera import Camera
from wsreg.geometry.camera_file import camera_from_record, camera_record
from wsreg.geometry.intrinsics import (
    NOMINAL_DISTANCE_MM,
    OPENCV_SIZE,
    decompose_projection,
    opencv_camera,
)
from wsreg.geometry.rig import Rig, RigView, nearest_point_to_axes
from wsreg.geometry.rigid import rigid, transform_points
from wsreg.geometry.views import ISOCENTRE_FRACTION, middle_ray

_OPENCV = ("rows", "columns")
_OPENCV_OPTIONAL = ("name", *OPENCV_SIZE)


def rig_from_record(content: Any, name: str) -> tuple[Rig, list[bool]]:
    """Return the rig of rig.json's fields, and which of its views have a nominal distance.

    Each view is a ``camera_from_rig`` with a ``camera``, which may be left out where the X-ray
    carries it; or OpenCV's ``K``, ``R``, ``t``; or a 3x4 matrix ``P`` ~ K [R|t], of any scale and
    sign.  R and t map rig points to the camera: x_camera = R x + t.  Views without a name are
    view-1, view-2, ...

    Raises:
        InputError: for units other than mm, fields that are missing or unknown, matrices that are
            not rigid or belong to no camera, or what :class:`Rig` refuses; ``name`` says of what.
    """
    fields = check_fields(content, name, ("views", "units"))
    if fields["units"] != "mm":
        raise InputError(f"{name}: units must be 'mm', got {fields['units']!r}")
    entries = fields["views"]
    if not isinstance(entries, list):
        raise InputError(f"{name}: views must be a list, got {type(entries).__name__}")
    try:
        rig = Rig(views=tuple(_view(entry, i) for i, entry in enumerate(entries, start=1)))
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return rig, [_is_nominal(entry) for entry in entries]


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


def _view(entry: Any, number: int) -> RigView:
    """Return the view of one entry, in whichever form it is."""
    if not isinstance(entry, dict):
        raise InputError(f"rig views must hold JSON objects, got {type(entry).__name__}")
    name = entry.get("name", f"view-{number}")
    where = f"rig view {name!r}"
    if "P" in entry:
        fields = check_fields(entry, where, ("P", *_OPENCV), _OPENCV_OPTIONAL)
        intrinsic, pose = _decomposed(_numbers(fields, "P", where, (3, 4)), where)
        camera: Camera | None = opencv_camera(intrinsic, fields, where)
    elif not entry.keys().isdisjoint(("K", "R", "t")):
        fields = check_fields(entry, where, ("K", "R", "t", *_OPENCV), _OPENCV_OPTIONAL)
        pose = rigid(
            _numbers(fields, "R", where, (3, 3)),
            _numbers(fields, "t", where, (3,), (3, 1), (1, 3)).reshape(3),
        )
        camera = opencv_camera(_numbers(fields, "K", where, (3, 3)), fields, where)
    else:
        fields = check_fields(entry, where, ("camera_from_rig",), ("name", "camera"))
        pose = _numbers(fields, "camera_from_rig", where, (4, 4))
        record = fields.get("camera")
        camera = None if record is None else camera_from_record(record, f"camera of {where}")
    return RigView(name=name, camera=camera, camera_from_rig=pose)


def _is_nominal(entry: dict[str, Any]) -> bool:
    """Return whether a view's matrices leave its distance open."""
    return not entry.keys().isdisjoint(("K", "P")) and entry.keys().isdisjoint(OPENCV_SIZE)


def with_patient_before_detectors(rig: Rig, nominal: Sequence[bool]) -> Rig:
    """Return the rig with its nominal distances beyond the point where the axes meet.

    Where neither the distance nor the pixel spacing is known, the distance is taken to be 1000 mm,
    or what puts the point where the views' axes meet at 0.7 of it in the view where that is
    farthest: it makes no difference to the projection.
    """
    if not any(nominal):
        return rig
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


def _numbers(fields: dict[str, Any], name: str, where: str, *shapes: tuple[int, ...]) -> Tensor:
    return finite_numbers(fields[name], f"{where} {name}", *shapes)
