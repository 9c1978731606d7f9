"""What a DeepFluoro file has, and what it lacks of the published layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from wsreg.datasets import hdf5
from wsreg.datasets.layout import (
    IMAGE_DATASETS,
    LABEL_NAMES,
    LANDMARK_NAMES,
    POSES,
    PROJECTION_PARAMETERS,
    RECORD_ATTRIBUTE,
    SPECIMENS,
)
from wsreg.datasets.preprocessed import LANDMARK_GROUP
from wsreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What was found.

    Args:
        kind: ``full`` or ``preprocessed``.
        virtual: whether a simulator made it.
        image_size: (rows, columns) of the projections.
        specimens: one line of facts for each.
        problems: one sentence for everything that is missing or wrong.
    """

    kind: str
    virtual: bool
    image_size: tuple[int, int] | None
    specimens: tuple[SpecimenReport, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SpecimenReport:
    """One specimen.

    Args:
        name: of its group.
        projections: how many.
        published: how many the published file has, None for other names.
        ct_shape: (depth, height, width), None without a CT.
        ct_spacing_mm: (x, y, z).
        turned: how many projections are stored head down.
        femurs: how many femur poses the file vouches for, (left, right).
    """

    name: str
    projections: int
    published: int | None
    ct_shape: tuple[int, ...] | None
    ct_spacing_mm: tuple[float, ...] | None
    turned: int
    femurs: tuple[int, int]


def inspect_deepfluoro(path: str | Path) -> FileReport:
    """Look through a full-resolution or preprocessed file without reading its pixels.

    Raises:
        InputError: it cannot be read, or is neither of the two.
    """
    with hdf5.open_for_reading(Path(path)) as file:
        if PROJECTION_PARAMETERS in file:
            return _full(file)
        if LANDMARK_GROUP in file:
            return _preprocessed(file)
        raise InputError(
            f"data set {Path(path).name} must have the group {PROJECTION_PARAMETERS} "
            f"(full resolution) or {LANDMARK_GROUP} (preprocessed), it has "
            f"{', '.join(file) or 'nothing'}"
        )


def _full(file: h5py.File) -> FileReport:
    parameters = hdf5.group(file, PROJECTION_PARAMETERS)
    problems = [
        *_wrong(lambda: hdf5.array(parameters, "extrinsic", 4, 4)),
        *_wrong(lambda: hdf5.array(parameters, "intrinsic", 3, 3)),
    ]
    for name in ("num-cols", "num-rows", "pixel-col-spacing", "pixel-row-spacing"):
        problems += _wrong(hdf5.number, parameters, name)
    size = None
    if not problems:
        size = (
            int(hdf5.number(parameters, "num-rows")),
            int(hdf5.number(parameters, "num-cols")),
        )
    names = [name for name in file if name != PROJECTION_PARAMETERS]
    reports = []
    for name in sorted(
        names, key=lambda n: (list(SPECIMENS).index(n) if n in SPECIMENS else 99, n)
    ):
        report, found = _specimen(file[name], name, size)
        reports.append(report)
        problems += found
    return FileReport(
        kind="full",
        virtual=RECORD_ATTRIBUTE in file.attrs,
        image_size=size,
        specimens=tuple(reports),
        problems=tuple(problems),
    )


def _specimen(
    group: h5py.Group, name: str, size: tuple[int, int] | None
) -> tuple[SpecimenReport, list[str]]:
    problems: list[str] = []
    for volume in ("vol", "vol-seg/image"):
        problems += _image_problems(group, volume, (None, None, None))
    for label, label_name in LABEL_NAMES.items():
        found = _wrong(hdf5.text, group, f"vol-seg/labels-def/{label}")
        if not found and hdf5.text(group, f"vol-seg/labels-def/{label}") != label_name:
            found = [f"{name} label {label} must be {label_name}"]
        problems += found
    for landmark in LANDMARK_NAMES:
        problems += _wrong(hdf5.array, group, f"vol-landmarks/{landmark}", 3)
    projections = group.get("projections")
    items = list(projections.items()) if isinstance(projections, h5py.Group) else []
    if not items:
        problems.append(f"{name} must have projections, it has none")
    for number, projection in items:
        problems += [f"{name}/{number}: {p}" for p in _projection_problems(projection, size)]
    pixels = group.get("vol/pixels")
    spacing = group.get("vol/spacing")
    return SpecimenReport(
        name=name,
        projections=len(items),
        published=SPECIMENS.get(name),
        ct_shape=tuple(pixels.shape) if isinstance(pixels, h5py.Dataset) else None,
        ct_spacing_mm=tuple(spacing[()].ravel().tolist())
        if isinstance(spacing, h5py.Dataset)
        else None,
        turned=sum(_flag(p, "rot-180-for-up") for _, p in items),
        femurs=(
            sum(_flag(p, "gt-poses/left-femur-good-fov") for _, p in items),
            sum(_flag(p, "gt-poses/right-femur-good-fov") for _, p in items),
        ),
    ), problems


def _projection_problems(group: h5py.Group, size: tuple[int, int] | None) -> Iterator[str]:
    shape = size or (None, None)
    yield from _image_problems(group, "image", shape)
    yield from _image_problems(group, "gt-seg", shape)
    for pose in POSES.values():
        yield from _wrong(hdf5.array, group, f"gt-poses/{pose}", 4, 4)
    for landmark in LANDMARK_NAMES:
        yield from _wrong(hdf5.array, group, f"gt-landmarks/{landmark}", 2)
    for flag in (
        "gt-poses/left-femur-good-fov", "gt-poses/right-femur-good-fov", "rot-180-for-up",
    ):  # fmt: skip
        yield from _wrong(hdf5.number, group, flag)


def _image_problems(group: h5py.Group, name: str, shape: tuple[int | None, ...]) -> Iterator[str]:
    for dataset in IMAGE_DATASETS:
        found = _wrong(hdf5.dataset, group, f"{name}/{dataset}")
        yield from found
        if dataset == "pixels" and not found:
            stored = group[f"{name}/pixels"]
            fits = len(stored.shape) == len(shape) and all(
                want in (None, have) for want, have in zip(shape, stored.shape, strict=True)
            )
            if not fits or stored.dtype.kind not in "iuf":
                yield f"{name}/pixels must be numbers of the shape {list(shape)}, got " + (
                    f"{stored.dtype} {list(stored.shape)}"
                )


def _preprocessed(file: h5py.File) -> FileReport:
    problems: list[str] = []
    reports, size = [], None
    for name in (name for name in file if name != LANDMARK_GROUP):
        group = file[name]
        found = [
            problem
            for dataset in ("projs", "segs", "lands")
            for problem in _wrong(hdf5.dataset, group, dataset)
        ]
        problems += found
        images = group.get("projs")
        if isinstance(images, h5py.Dataset) and len(images.shape) == 3:
            size = (int(images.shape[1]), int(images.shape[2]))
        reports.append(
            SpecimenReport(
                name=name,
                projections=images.shape[0] if isinstance(images, h5py.Dataset) else 0,
                published=None,
                ct_shape=None,
                ct_spacing_mm=None,
                turned=0,
                femurs=(0, 0),
            )
        )
    return FileReport(
        kind="preprocessed",
        virtual=False,
        image_size=size,
        specimens=tuple(reports),
        problems=tuple(problems),
    )


def _flag(group: h5py.Group, name: str) -> bool:
    return not _wrong(lambda: hdf5.number(group, name)) and hdf5.number(group, name) != 0


def _wrong(read: Callable[..., object], *arguments: object) -> list[str]:
    """What reading complains about: nothing, or one sentence."""
    try:
        read(*arguments)
    except InputError as error:
        return [str(error)]
    return []
