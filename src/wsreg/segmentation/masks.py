"""Masks of an X-ray made elsewhere: label images, or probabilities of overlapping regions."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.datasets.layout import LABEL_NAMES
from wsreg.errors import InputError
from wsreg.files.arrays import read_arrays
from wsreg.files.reading_from import reading_from
from wsreg.radiographs.raster import RASTER_SUFFIXES, read_raster
from wsreg.segmentation.rois import RoiTarget
from wsreg.segmentation.segmenter import HARD_MASK
from wsreg.volumes.label_names import read_label_names
from wsreg.volumes.region_names import labels_of_region
from wsreg.volumes.volume import Volume

SEGMENT_FILES = ("labels.png", "labels.nii.gz")
SEGMENT_NAMES_FILE = "label_names.json"
"""What ``wsreg segment`` writes."""


def read_rois(
    path: str | Path,
    shape: tuple[int, int],
    volume: Volume,
    names: Mapping[int, str] | None = None,
) -> RoiTarget:
    """Read the regions in a file, each with the labels of the CT that it is compared with.

    A label image (PNG, TIFF, NPY, NIfTI) has a whole number for each pixel, 0 for background.
    Without ``names``, these numbers are DeepFluoro's if all lie in 1 to 6 and the CT has one of the
    regions that they stand for, and else the CT's own labels; where both are possible, and differ,
    names must be given.  What ``wsreg segment`` wrote has its names beside it.  Where one region
    lies over another, a label image can hold only one: of a pixel with another region's number it
    is taken as not known whether the region goes on there.  An .npz file, as written by ``wsreg
    segment``, holds ``probabilities`` [R,H,W] and ``roi_names`` [R]: a region is where it is more
    likely than not, and regions that the CT lacks are left out.

    Args:
        path: of the file.
        shape: (H, W) of the X-ray as it was read, on whose grid the file must be.
        volume: the CT with labels.
        names: of the numbers in a label image.

    Raises:
        InputError: unreadable, of another size, not whole numbers, or with regions that the CT's
            labels lack.
    """
    path = Path(path)
    if not path.is_file():
        said = "is a folder" if path.is_dir() else "is not a file"
        raise InputError(f"ROI mask {path} {said}")
    if path.name.lower().endswith(".npz"):
        found, probabilities = _read_probabilities(path, shape)
        return target_of_probabilities(found, probabilities > HARD_MASK, volume, str(path))
    if not path.name.lower().endswith(RASTER_SUFFIXES):
        raise InputError(f"ROI mask {path} must end in .npz or {', '.join(RASTER_SUFFIXES)}")
    labels = _read_label_image(path, shape)
    beside = path.parent / SEGMENT_NAMES_FILE
    if names is None and path.name in SEGMENT_FILES and beside.is_file():
        names = read_label_names(beside)
    values = [int(value) for value in np.unique(labels) if value != 0]
    regions = _regions_of(values, volume, names, str(path))
    pixels = torch.from_numpy(labels.astype(np.int32))
    masks = [torch.isin(pixels, torch.tensor(numbers)) for numbers, _ in regions.values()]
    known = [mask | (pixels == 0) for mask in masks]
    nothing = torch.zeros((0, *shape), dtype=torch.bool)
    return RoiTarget(
        names=tuple(regions),
        masks=(torch.stack(masks) if masks else nothing).float(),
        labels=tuple(group for _, group in regions.values()),
        known=torch.stack(known) if known else nothing,
    )


def target_of_probabilities(
    names: tuple[str, ...], probabilities: Tensor, volume: Volume, source: str
) -> RoiTarget:
    """Return probabilities [R,H,W] of named regions, without those that the CT's labels lack.

    Raises:
        InputError: the CT has none of the regions.
    """
    groups = {name: labels_of_region(name, volume) for name in names}
    chosen = [index for index, name in enumerate(names) if groups[name]]
    if not chosen:
        raise InputError(
            f"{source} must have regions that the CT's labels have, which are "
            f"{_known(volume)}; it has {', '.join(names)}"
            + ("" if volume.label_names else "; give the labels their names (--label-names)")
        )
    return RoiTarget(
        names=tuple(names[index] for index in chosen),
        masks=probabilities[chosen].float(),
        labels=tuple(groups[names[index]] for index in chosen),
    )


def _reading(values: list[int], volume: Volume, source: str) -> Mapping[int, str] | None:
    """Name the values of a label image that says none; None for the CT's own labels."""
    if not set(values) <= set(LABEL_NAMES):
        return None
    groups = [labels_of_region(LABEL_NAMES[value], volume) for value in values]
    own = [(value,) for value in values]
    if not any(groups) or groups == own:
        return None
    if all(groups) and set(values) <= set(volume.label_values):
        meant = ", ".join(f"{value} ({LABEL_NAMES[value]})" for value in values)
        raise InputError(
            f"ROI mask {source} must come with names of its numbers (--roi-names): they may be "
            f"DeepFluoro's, {meant}, or the CT's own, {_known(volume)}"
        )
    return LABEL_NAMES


def _regions_of(
    values: list[int], volume: Volume, names: Mapping[int, str] | None, source: str
) -> dict[str, tuple[list[int], tuple[int, ...]]]:
    """Return the values of a label image and the CT labels of each region, by name.

    One name of several values is one region, made of all of them.
    """
    if names is None:
        names = _reading(values, volume, source)
    regions: dict[str, tuple[list[int], tuple[int, ...]]] = {}
    for value in values:
        name = (volume.label_names if names is None else names).get(value, str(value))
        labels: tuple[int, ...] = ()
        if names is None and value in volume.label_values:
            labels = (value,)
        elif names is not None and value in names:
            labels = labels_of_region(name, volume)
        if not labels:
            raise InputError(
                f"ROI mask {source} must hold regions that the CT's labels have, which are "
                f"{_known(volume)}; it has {value} ({name})"
            )
        numbers, group = regions.setdefault(name, ([], ()))
        numbers.append(value)
        regions[name] = (numbers, tuple(dict.fromkeys((*group, *labels))))
    return regions


def _known(volume: Volume) -> str:
    named = [f"{v} ({volume.label_names.get(v, 'no name')})" for v in volume.label_values]
    return ", ".join(named) if named else "none"


def _read_label_image(path: Path, shape: tuple[int, int]) -> NDArray[Any]:
    labels = read_raster(path, "labels").pixels
    _check_size(path, labels.shape, shape)
    if not np.array_equal(labels, np.floor(labels)):  # NaN fails too
        raise InputError(f"ROI mask {path} must hold whole-number labels, got fractions")
    if labels.min() < 0 or labels.max() > np.iinfo(np.int16).max:
        raise InputError(
            f"ROI mask {path} must hold labels in 0..32767, got {labels.min()}..{labels.max()}"
        )
    return labels


def _read_probabilities(path: Path, shape: tuple[int, int]) -> tuple[tuple[str, ...], Tensor]:
    rule = "must hold probabilities and roi_names, as wsreg segment writes them"
    with reading_from(f"ROI mask {path}", rule):
        arrays = read_arrays(path, rule)
        found, named = arrays["probabilities"], arrays["roi_names"]
        letters = np.frombuffer(named.astype("U").tobytes(), np.uint32)
        if letters.size and int(letters.max()) > sys.maxunicode:
            raise ValueError("roi_names holds what no letters are")
        names = tuple(str(name) for name in named.astype("U").ravel())
    good = found.dtype.kind in "buif" and named.dtype.kind in "SU"
    if not good or not np.isfinite(found).all():
        raise InputError(
            f"ROI mask {path} must hold finite numbers and names, got {found.dtype} and "
            f"{named.dtype}"
        )
    probabilities = torch.from_numpy(found.astype(np.float32))
    if probabilities.ndim != 3 or len(probabilities) != len(names):
        raise InputError(
            f"ROI mask {path} must hold one image of probabilities for each of its {len(names)} "
            f"roi_names, got {list(probabilities.shape)}"
        )
    _check_size(path, tuple(probabilities.shape[-2:]), shape)
    return names, probabilities


def _check_size(path: Path, got: tuple[int, ...], shape: tuple[int, int]) -> None:
    if got != shape:
        raise InputError(
            f"ROI mask {path} must have the X-ray's rows x columns, {shape[0]} x {shape[1]}, "
            f"got {' x '.join(map(str, got))}"
        )
