"""Label maps: read, brought onto the CT's grid, and named."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.files import is_dicom
from wsreg.errors import InputError
from wsreg.volumes.dicom_segmentation import read_segmentation
from wsreg.volumes.image_files import read_image_file
from wsreg.volumes.voxel_image import VoxelImage

LEAST_OVERLAP = 0.5
"""Fraction of the labelled volume that must lie inside the CT."""

SAME_GRID_TOLERANCE_MM = 1e-3
NAME_COLUMNS = ("structure", "name")


def read_labels(path: Path, ct: VoxelImage) -> NDArray[Any]:
    """Read [D,H,W] uint8 or int16 labels on the CT's grid (nearest neighbour from another grid).

    Raises:
        InputError: unreadable, values that are no labels, nothing labelled, or labels that lie
            mostly outside the CT.
    """
    image = read_segmentation(path)[0] if is_dicom(path) else read_image_file(path)
    values = image.voxels
    smallest, largest = float(values.min()), float(values.max())
    if not (smallest >= 0 and largest <= np.iinfo(np.int16).max):  # NaN fails both
        raise InputError(f"labels {path} must lie in 0..32767, got {smallest:g}..{largest:g}")
    labels = values.astype(np.uint8 if largest <= 255 else np.int16)
    if not np.array_equal(labels, values):
        raise InputError(f"labels {path} must be whole numbers, got fractions")
    if largest == 0:
        raise InputError(f"labels {path} must label something, got only background (0)")
    if _same_grid(image, ct):
        return labels
    return _onto_grid(image._replace(voxels=labels), ct, path)


def read_label_names(names: Mapping[int, str] | str | os.PathLike[str] | None) -> dict[int, str]:
    """Return names by label value, from a mapping, JSON ``{"1": "hip_left"}``, or CSV.

    A CSV needs the columns ``id`` and ``structure`` (or ``name``); others are ignored.

    Raises:
        InputError: the file is missing, of another kind, or an id is not a whole number.
    """
    if names is None:
        return {}
    if isinstance(names, Mapping):
        return _as_names(names.items(), "label_names")
    path = Path(names)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"label_names {path} cannot be read: {error}") from error
    if path.suffix.lower() == ".json":
        return _names_from_json(text, path)
    if path.suffix.lower() == ".csv":
        return _names_from_csv(text, path)
    raise InputError(f"label_names must be a .json or .csv file, got {path}")


def _same_grid(image: VoxelImage, ct: VoxelImage) -> bool:
    """Tell whether two grids have one size and every voxel in one place: the corners decide."""
    if image.voxels.shape != ct.voxels.shape:
        return False
    apart = np.abs(image.ct_from_voxel - ct.ct_from_voxel)[:3]
    reach = np.array([*ct.voxels.shape[::-1], 1])
    return float((apart @ reach).max()) <= SAME_GRID_TOLERANCE_MM


def _onto_grid(image: VoxelImage, ct: VoxelImage, path: Path) -> NDArray[Any]:
    from scipy.ndimage import affine_transform

    label_from_ct_voxel = np.linalg.inv(image.ct_from_voxel) @ ct.ct_from_voxel
    resampled: NDArray[Any] = affine_transform(
        image.voxels,
        label_from_ct_voxel[2::-1, 2::-1],  # arrays are indexed (z,y,x), affines (x,y,z)
        offset=label_from_ct_voxel[2::-1, 3],
        output_shape=ct.voxels.shape,
        order=0,
        mode="grid-constant",
    )
    fraction = _labelled_mm3(resampled, ct) / _labelled_mm3(image.voxels, image)
    if fraction < LEAST_OVERLAP:
        raise InputError(
            f"labels {path} must lie inside the CT, got only {fraction:.0%} of the labelled volume "
            "there (labels of another patient's grid?)"
        )
    return resampled


def _labelled_mm3(labels: NDArray[Any], image: VoxelImage) -> float:
    voxel_mm3 = abs(float(np.linalg.det(image.ct_from_voxel[:3, :3])))
    return np.count_nonzero(labels) * voxel_mm3


def _names_from_json(text: str, path: Path) -> dict[int, str]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"label_names {path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f'label_names {path} must be like {{"1": "hip_left"}}, got {content!r}')
    return _as_names(content.items(), path)


def _names_from_csv(text: str, path: Path) -> dict[int, str]:
    table = csv.DictReader(text.splitlines(), skipinitialspace=True)
    columns = table.fieldnames or []
    name_column = next((column for column in NAME_COLUMNS if column in columns), None)
    if "id" not in columns or name_column is None:
        raise InputError(
            f"label_names {path} must have the columns id and structure (or name), got {columns}"
        )
    return _as_names(((row["id"], row[name_column]) for row in table), path)


def _as_names(items: Iterable[tuple[Any, Any]], source: object) -> dict[int, str]:
    names = {}
    for value, name in items:
        try:
            names[int(value)] = str(name)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{source} must name whole-number labels, got {value!r}: {name!r}"
            ) from error
    return names
