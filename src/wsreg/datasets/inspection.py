"""What a DeepFluoro file has, and what it lacks of the published layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import h5py
import numpy as np

from wsreg.datasets import hdf5
from wsreg.datasets.layout import (
    CAMERA_SCALARS,
    FLAGS,
    LABEL_NAMES,
    LANDMARK_GROUP,
    LANDMARK_NAMES,
    POSES,
    PROJECTION_PARAMETERS,
    SPECIMENS,
)
from wsreg.datasets.preprocessed import landmark_names
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")
Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class SpecimenReport:
    """Facts of one specimen; None (or 0, or empty) where the file has nothing to tell.

    Args:
        name: of its group.
        projections: how many.
        published: how many the published file has.
        turned: how many projections are stored head down.
        femurs: how many femur poses are valid, (left, right).
        ct_shape: (depth, height, width).
        ct_spacing_mm: (x, y, z).
        ct_range_hu: smallest and largest value in the middle slice.
        labels: such as ``1 left-hemipelvis``.
        xray_range: smallest and largest value in the first projection.
        landmark_distance_px: how far the 2D landmarks are at most from the 3D ones under the
            stored poses.
    """

    name: str
    projections: int
    published: int | None = None
    turned: int = 0
    femurs: tuple[int, int] = (0, 0)
    ct_shape: tuple[int, ...] | None = None
    ct_spacing_mm: tuple[float, ...] | None = None
    ct_range_hu: Range | None = None
    labels: tuple[str, ...] = ()
    xray_range: Range | None = None
    landmark_distance_px: float | None = None


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What was found.

    Args:
        kind: ``full`` or ``preprocessed``.
        virtual: whether a simulator made it.
        image_size: (rows, columns) of the projections.
        specimens: one for each.
        problems: one sentence for everything that is missing or wrong.
    """

    kind: str
    virtual: bool
    image_size: tuple[int, int] | None
    specimens: tuple[SpecimenReport, ...]
    problems: tuple[str, ...]


def inspect_deepfluoro(path: str | Path) -> FileReport:
    """Look through a full-resolution or preprocessed file, reading a few of its pixels only.

    Raises:
        InputError: it cannot be read, or is neither of the two.
    """
    with hdf5.open_for_reading(Path(path)) as file:
        if hdf5.has(file, PROJECTION_PARAMETERS):
            return _full(file)
        if hdf5.has(file, LANDMARK_GROUP):
            return _preprocessed(file)
        raise InputError(
            f"data set {Path(path).name} must have the group {PROJECTION_PARAMETERS} "
            f"(full resolution) or {LANDMARK_GROUP} (preprocessed), it has "
            f"{', '.join(hdf5.names(file)) or 'nothing'}"
        )


def _full(file: h5py.File) -> FileReport:
    rows = _found(hdf5.number, file, f"{PROJECTION_PARAMETERS}/num-rows")
    columns = _found(hdf5.number, file, f"{PROJECTION_PARAMETERS}/num-cols")
    size = None if rows is None or columns is None else (int(rows), int(columns))
    held = hdf5.names(file)
    names = [name for name in SPECIMENS if name in held]
    names += [name for name in held if name not in (*SPECIMENS, PROJECTION_PARAMETERS)]
    camera_problems = _camera_problems(file)
    problems = [*camera_problems]
    if not names:
        problems.append(f"data set {Path(file.filename).name} must have specimens, it has none")
    reports = []
    for name in names:
        group = _found(hdf5.group, file, name)
        found = [*_wrong(hdf5.group, file, name)] if group is None else [
            *_specimen_problems(group, size)
        ]  # fmt: skip
        problems += found
        if group is not None:
            complete = not found and not camera_problems
            camera = hdf5.group(file, PROJECTION_PARAMETERS) if complete else None
            reports.append(_specimen(group, camera))
    return FileReport(
        kind="full",
        virtual=hdf5.has_record(file),
        image_size=size,
        specimens=tuple(reports),
        problems=tuple(problems),
    )


def _camera_problems(file: h5py.File) -> list[str]:
    problems = [
        *_wrong(hdf5.array, file, f"{PROJECTION_PARAMETERS}/extrinsic", 4, 4),
        *_wrong(hdf5.array, file, f"{PROJECTION_PARAMETERS}/intrinsic", 3, 3),
    ]
    for name in CAMERA_SCALARS:
        problems += _wrong(hdf5.number, file, f"{PROJECTION_PARAMETERS}/{name}")
    if problems:
        return problems
    with DeepFluoroFile(file.filename) as reader:
        return [*_wrong(reader.camera, rot_180_for_up=False)]


def _specimen_problems(group: h5py.Group, size: tuple[int, int] | None) -> Iterator[str]:
    yield from _image_problems(group, "vol", (None, None, None))
    volume = _found(hdf5.numbers, group, "vol/pixels", None, None, None)
    yield from _image_problems(group, "vol-seg/image", volume.shape if volume else (None,) * 3)
    for label in LABEL_NAMES:
        yield from _wrong(hdf5.text, group, f"vol-seg/labels-def/{label}")
    for landmark in LANDMARK_NAMES:
        yield from _wrong(hdf5.array, group, f"vol-landmarks/{landmark}", 3)
    yield from _wrong(hdf5.group, group, "projections")
    names = _projections(group)
    if _found(hdf5.group, group, "projections") is not None and not names:
        yield f"{group.name} must have projections, it has none"
    for name in names:
        projection = _found(hdf5.group, group, f"projections/{name}")
        if projection is None:
            yield from _wrong(hdf5.group, group, f"projections/{name}")
        else:
            yield from _projection_problems(projection, size)


def _projection_problems(group: h5py.Group, size: tuple[int, int] | None) -> Iterator[str]:
    yield from _image_problems(group, "image", size or (None, None))
    yield from _image_problems(group, "gt-seg", size or (None, None))
    for pose in POSES.values():
        yield from _wrong(hdf5.array, group, f"gt-poses/{pose}", 4, 4)
    for landmark in LANDMARK_NAMES:
        yield from _wrong(hdf5.array, group, f"gt-landmarks/{landmark}", 2)
    for flag in FLAGS:
        yield from _wrong(hdf5.number, group, flag)


def _image_problems(group: h5py.Group, name: str, shape: tuple[int | None, ...]) -> Iterator[str]:
    axes = len(shape)
    yield from _wrong(hdf5.numbers, group, f"{name}/pixels", *shape)
    yield from _wrong(hdf5.array, group, f"{name}/dir-mat", axes, axes)
    yield from _wrong(hdf5.array, group, f"{name}/origin", axes)
    yield from _wrong(hdf5.array, group, f"{name}/spacing", axes)


def _specimen(group: h5py.Group, camera: h5py.Group | None) -> SpecimenReport:
    """Look up the facts of a specimen, whatever it lacks; of landmarks only with a camera."""
    name = group.name.strip("/")
    projections = _projections(group)
    turned, left, right = (
        sum(bool(_found(hdf5.number, group, f"projections/{n}/{flag}")) for n in projections)
        for flag in ("rot-180-for-up", *FLAGS[:2])
    )
    volume = _found(hdf5.numbers, group, "vol/pixels", None, None, None)
    spacing = _found(hdf5.array, group, "vol/spacing", 3)
    names = _found(hdf5.group, group, "vol-seg/labels-def")
    return SpecimenReport(
        name=name,
        projections=len(projections),
        published=SPECIMENS.get(name),
        turned=turned,
        femurs=(left, right),
        ct_shape=None if volume is None else tuple(volume.shape),
        ct_spacing_mm=None if spacing is None else tuple(spacing.tolist()),
        ct_range_hu=_range(volume, len(volume) // 2) if volume else None,
        labels=tuple(f"{n} {_found(hdf5.text, names, n) or '?'}" for n in hdf5.names(names))
        if names is not None
        else (),
        xray_range=_range(_found(hdf5.dataset, group, f"projections/{projections[0]}/image/pixels"))
        if projections
        else None,
        landmark_distance_px=None if camera is None else _landmark_distance_px(group, camera),
    )


def _projections(group: h5py.Group) -> list[str]:
    projections = _found(hdf5.group, group, "projections")
    return [] if projections is None else sorted(_found(hdf5.names, projections) or ())


def _range(pixels: h5py.Dataset | None, selection: int | tuple[()] = ()) -> Range | None:
    if pixels is None or not pixels.size or pixels.dtype.kind not in "iuf":
        return None
    values = _found(hdf5.read, pixels, selection)
    return None if values is None else (float(values.min()), float(values.max()))


def _landmark_distance_px(group: h5py.Group, camera: h5py.Group) -> float:
    """Return how far any 2D landmark is from the 3D one, projected as the layout's text says."""
    points = np.stack([hdf5.array(group, f"vol-landmarks/{name}", 3) for name in LANDMARK_NAMES])
    points = np.column_stack((points.astype(np.float64), np.ones(len(points))))
    extrinsic = hdf5.array(camera, "extrinsic", 4, 4)
    intrinsic = hdf5.array(camera, "intrinsic", 3, 3)
    farthest = 0.0
    for name in _projections(group):
        projection = hdf5.group(group, f"projections/{name}")
        world_to_volume = hdf5.array(projection, "gt-poses/cam-to-pelvis-vol", 4, 4)
        seen = intrinsic @ (extrinsic @ np.linalg.inv(world_to_volume.astype(np.float64)))[:3]
        column, row, depth = seen @ points.T
        stored = [hdf5.array(projection, f"gt-landmarks/{n}", 2) for n in LANDMARK_NAMES]
        offset = np.column_stack((column / depth, row / depth)) - np.stack(stored)
        farthest = max(farthest, float(np.linalg.norm(offset, axis=1).max()))
    return farthest


def _preprocessed(file: h5py.File) -> FileReport:
    problems = [*_wrong(landmark_names, file)]
    lands = len(_found(landmark_names, file) or ()) or None
    reports: list[SpecimenReport] = []
    size: tuple[int, int] | None = None
    for name in (name for name in hdf5.names(file) if name != LANDMARK_GROUP):
        images = _found(hdf5.numbers, file, f"{name}/projs", None, None, None)
        shape: tuple[int | None, ...] = images.shape if images else (None, None, None)
        problems += [
            *_wrong(hdf5.numbers, file, f"{name}/projs", None, None, None),
            *_wrong(hdf5.numbers, file, f"{name}/segs", *shape),
            *_wrong(hdf5.numbers, file, f"{name}/lands", shape[0], 2, lands),
        ]
        if images:
            size = (images.shape[1], images.shape[2])
        reports.append(
            SpecimenReport(
                name=name,
                projections=shape[0] or 0,
                xray_range=_range(images, 0) if images else None,
            )
        )
    return FileReport(
        kind="preprocessed",
        virtual=False,
        image_size=size,
        specimens=tuple(reports),
        problems=tuple(problems),
    )


def _found(look: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    try:
        return look(*args, **kwargs)
    except InputError:
        return None


def _wrong(look: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Iterator[str]:
    """Yield what looking complains about: nothing, or one sentence."""
    try:
        look(*args, **kwargs)
    except InputError as error:
        yield str(error)
