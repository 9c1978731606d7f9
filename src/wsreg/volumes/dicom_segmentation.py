"""A DICOM segmentation (SEG) as a label map with the names of its segments."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.files import read_dataset
from wsreg.dicom.header import Header, file_header, frame_headers
from wsreg.dicom.pixels import PixelFormat, decode_frame, pixel_format
from wsreg.errors import InputError
from wsreg.volumes.voxel_image import VoxelImage, check_affine

SEGMENTATION_TYPES = ("BINARY", "FRACTIONAL", "LABELMAP")

MOST_OVERLAP = 0.01
"""Fraction of the smaller of two segments that may lie in the other too."""

FEW_VOXELS = 10
"""So many voxels may be in two segments however small they are."""

ON_GRID_MM = 0.05
"""How far a frame may lie off the even planes."""

ALIKE = 1e-3
"""How much directions and spacing (mm) of frames may differ."""


class _Frame(NamedTuple):
    """A plane of one segment: its number, 0 where the pixels hold the numbers, and its place."""

    number: int
    segment: int
    position_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    spacing_mm: NDArray[np.float64]


def is_segmentation(path: Path) -> bool:
    """Tell whether a DICOM file is a segmentation."""
    header = file_header(read_dataset(path, ["Modality"]))
    return header.word("Modality") == "SEG"


def read_segmentation(path: Path) -> tuple[VoxelImage, dict[int, str]]:
    """Read a segmentation: segment numbers as voxels, on the grid of its frames, and their names.

    Frames may come in any order, and planes without a segment be left out.  Of a fractional
    segmentation what is at least one half counts.  A few voxels that two segments share go to the
    later one, with a note.

    Raises:
        InputError: no segmentation, frames that do not say where they lie or lie on no even grid,
            or segments that overlap.
    """
    dataset = read_dataset(path)
    notes: list[str] = []
    header = file_header(dataset, notes)
    kind = header.word("SegmentationType")
    if header.word("Modality") != "SEG" or kind not in SEGMENTATION_TYPES:
        raise InputError(
            f"{path} must be a DICOM segmentation (SEG) of the type "
            f"{', '.join(SEGMENTATION_TYPES)}, its modality is "
            f"{header.word('Modality') or 'not stated'}, its type {kind or 'not stated'}"
        )
    names = _names(header, path)
    form = pixel_format(dataset, path, notes)
    frames = _frames(dataset, kind, path)
    planes, affine, depth = _grid(frames, path)
    check_affine(affine, path)
    half = (header.number("MaximumFractionalValue") or 255) / 2 if kind == "FRACTIONAL" else None
    labels = np.zeros((depth, form.rows, form.columns), np.int16)
    sizes: Counter[int] = Counter()
    shared: Counter[tuple[int, int]] = Counter()
    for frame, plane in sorted(
        zip(frames, planes, strict=True), key=lambda placed: placed[0].segment
    ):
        pixels = _segment_pixels(dataset, form, frame, half, path)
        inside = pixels > 0
        taken = labels[plane][inside]
        for other, count in zip(*np.unique(taken[taken > 0], return_counts=True), strict=True):
            if other != frame.segment:
                shared[int(other), frame.segment] += int(count)
        sizes[frame.segment] += int(inside.sum())
        labels[plane][inside] = pixels[inside]
    _check_overlap(shared, sizes, names, path, notes)
    return VoxelImage(labels, affine, tuple(notes)), names


def _names(header: Header, path: Path) -> dict[int, str]:
    """Return the labels of the segments by their numbers."""
    names = {}
    for item in header.items("SegmentSequence"):
        segment = Header(levels=(item,), notes=header.notes)
        number = segment.whole("SegmentNumber")
        if number is not None and 0 < number <= np.iinfo(np.int16).max:
            names[number] = str(segment.value("SegmentLabel") or f"segment {number}")
    if not names:
        raise InputError(f"{path} must have a SegmentSequence with numbered segments, got none")
    return names


def _frames(dataset: Any, kind: str, path: Path) -> list[_Frame]:
    frames = []
    for index, header in enumerate(frame_headers(dataset)):
        values = [
            header.numbers(tag, count)
            for tag, count in (
                ("ImagePositionPatient", 3),
                ("ImageOrientationPatient", 6),
                ("PixelSpacing", 2),
            )
        ]
        segment = 0 if kind == "LABELMAP" else header.whole("ReferencedSegmentNumber")
        if None in values or segment is None:
            raise InputError(
                f"{path} must say of each frame where it lies (ImagePositionPatient, "
                "ImageOrientationPatient, PixelSpacing) and of which segment it is "
                f"(ReferencedSegmentNumber), frame {index} does not"
            )
        position, axes, spacing = (np.array(value) for value in values)
        frames.append(_Frame(index, segment, position, axes.reshape(2, 3), spacing))
    if not frames:
        raise InputError(f"{path} must have functional groups of its frames, got none")
    first = frames[0]
    for frame in frames[1:]:
        apart = max(
            np.abs(frame.axes - first.axes).max(), np.abs(frame.spacing_mm - first.spacing_mm).max()
        )
        if apart > ALIKE:
            raise InputError(
                f"{path} must have frames of one orientation and pixel spacing, "
                f"frame {frame.number} differs from frame {first.number}"
            )
    return frames


def _grid(frames: list[_Frame], path: Path) -> tuple[list[int], NDArray[np.float64], int]:
    """Return the plane of each frame, [4,4] ct_from_voxel, and the number of planes."""
    first = frames[0]
    normal = np.cross(*first.axes)
    heights_mm = np.array([frame.position_mm @ normal for frame in frames])
    lowest = frames[int(heights_mm.argmin())]
    gaps_mm = np.diff(np.unique(heights_mm.round(3)))
    gaps_mm = gaps_mm[gaps_mm > ON_GRID_MM]
    step_mm = float(gaps_mm.min()) if len(gaps_mm) else float(first.spacing_mm.mean())
    planes = np.round((heights_mm - heights_mm.min()) / step_mm).astype(int)
    depth = int(planes.max()) + 1
    if depth > 1:
        # the step over all planes is known better than the one between two
        step_mm = float(np.ptp(heights_mm)) / (depth - 1)
        highest = frames[int(heights_mm.argmax())]
        step = (highest.position_mm - lowest.position_mm) / (depth - 1)
    else:
        step = normal * step_mm
    for frame, plane in zip(frames, planes, strict=True):
        off_mm = float(np.linalg.norm(frame.position_mm - lowest.position_mm - plane * step))
        if off_mm > max(ON_GRID_MM, 0.05 * step_mm):
            raise InputError(
                f"{path} must have frames on evenly spaced planes, {step_mm:.2f} mm apart, "
                f"frame {frame.number} lies {off_mm:.2f} mm off"
            )
    affine = np.eye(4)
    affine[:3, 0] = first.axes[0] * first.spacing_mm[1]
    affine[:3, 1] = first.axes[1] * first.spacing_mm[0]
    affine[:3, 2], affine[:3, 3] = step, lowest.position_mm
    return planes.tolist(), affine, depth


def _segment_pixels(
    dataset: Any, form: PixelFormat, frame: _Frame, half: float | None, path: Path
) -> NDArray[Any]:
    """Return [rows, columns] int16 segment numbers."""
    stored = decode_frame(dataset, form, frame.number, path)
    if frame.segment == 0:
        return stored.astype(np.int16)
    inside = stored >= half if half is not None else stored > 0
    return np.where(inside, frame.segment, 0).astype(np.int16)


def _check_overlap(
    shared: Counter[tuple[int, int]],
    sizes: Counter[int],
    names: dict[int, str],
    path: Path,
    notes: list[str],
) -> None:
    """Refuse segments that share more than a few voxels, and note those that share a few."""
    for (first, second), count in shared.items():
        both = f"{names.get(first, first)} and {names.get(second, second)}"
        if count > max(FEW_VOXELS, MOST_OVERLAP * min(sizes[first], sizes[second])):
            raise InputError(
                f"{path} must have segments that do not overlap, {both} share {count} voxels"
            )
        notes.append(f"Segments {both} share {count} voxels, which went to the latter.")
