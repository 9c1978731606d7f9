"""Segmentations of 3D Slicer (.seg.nrrd): segments by name, in layers where they may overlap."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.volumes.image_files import NRRD_SUFFIXES, read_itk_channels
from wsreg.volumes.masks import Mask, merged_masks
from wsreg.volumes.nrrd_header import read_nrrd_header
from wsreg.volumes.voxel_image import VoxelImage, check_affine


class _Segment(NamedTuple):
    name: str
    layer: int
    value: int


def is_slicer_segmentation(path: Path) -> bool:
    """Tell whether a file is NRRD whose header describes segments."""
    if not path.name.lower().endswith(NRRD_SUFFIXES) or not path.is_file():
        return False
    return any(re.match(r"Segment\d+_", key) for key in read_nrrd_header(path).values)


def read_slicer_segmentation(path: Path) -> tuple[VoxelImage, dict[int, str]]:
    """Read a segmentation as one label map, placed by its own affine, and the segments' names.

    Segments keep their numbers where these differ, else they are numbered from 1.

    Raises:
        InputError: damaged, without a place in the patient, with segments that are not in the
            file, or with segments that overlap.
    """
    channels, ct_from_voxel, _, notes = read_itk_channels(path)
    check_affine(ct_from_voxel, path)
    segments = _segments(read_nrrd_header(path).values, path)
    values = [segment.value for segment in segments]
    distinct = len(set(values)) == len(values)
    if channels.shape[-1] == 1:
        if not distinct:
            raise InputError(
                f"{path} must have different LabelValues for the {len(segments)} segments in its "
                f"one layer, got {values}"
            )
        names = {segment.value: segment.name for segment in segments}
        return VoxelImage(
            np.ascontiguousarray(channels[..., 0]), ct_from_voxel, tuple(notes)
        ), names
    if not distinct:
        values = list(range(1, len(segments) + 1))
        notes.append(f"The {len(segments)} segments of {path.name} were numbered from 1.")
    labels, merge_notes = merged_masks(
        _masks(segments, values, channels, path), channels.shape[:-1], path
    )
    names = {value: segment.name for value, segment in zip(values, segments, strict=True)}
    return VoxelImage(labels, ct_from_voxel, (*notes, *merge_notes)), names


def _segments(values: dict[str, str], path: Path) -> list[_Segment]:
    """Return the segments in the header; old files have one a layer, in order, and no numbers."""
    numbers = sorted({int(m[1]) for key in values if (m := re.match(r"Segment(\d+)_", key))})
    try:
        return [
            _Segment(
                name=values.get(f"Segment{n}_Name", f"Segment_{n}"),
                layer=int(values.get(f"Segment{n}_Layer", place)),
                value=int(values.get(f"Segment{n}_LabelValue", 1)),
            )
            for place, n in enumerate(numbers)
        ]
    except ValueError as error:
        raise InputError(
            f"{path} must have whole numbers in SegmentN_Layer and SegmentN_LabelValue: {error}"
        ) from error


def _masks(
    segments: list[_Segment], values: list[int], channels: NDArray[Any], path: Path
) -> Iterator[Mask]:
    for segment, value in zip(segments, values, strict=True):
        if not 0 <= segment.layer < channels.shape[-1]:
            raise InputError(
                f"{path} must have a layer {segment.layer} for its segment {segment.name}, "
                f"it has {channels.shape[-1]}"
            )
        yield Mask(segment.name, value, channels[..., segment.layer] == segment.value)
