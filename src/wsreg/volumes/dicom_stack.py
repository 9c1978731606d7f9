"""The planes of a CT that belong together, in order, and where their voxels lie.

Planes are stacked along the line through their positions, so a series taken with a tilted gantry
keeps its shear in the affine instead of being resampled or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.files import listed
from wsreg.errors import InputError
from wsreg.volumes.dicom_planes import Plane

GAP_TOLERANCE = 0.05
"""Fraction of the usual slice distance by which one distance may differ."""

LEAST_GAP_MM = 1e-3
"""Slices closer than this lie at the same position."""

DOUBLED = 0.01
"""Slices closer than this part of others' distance are meant to be at one place."""

LINE_TOLERANCE = 0.1
"""Fraction of the usual slice distance by which a slice may lie off the evenly divided line."""

ALIKE = 1e-4
"""How much spacing (mm) and directions of planes of one stack may differ."""

MOST_LEFT_OUT = 0.5
"""Fraction of the largest stack that any other may have; of two like ones neither is taken."""


def largest_stack(
    planes: Sequence[Plane], folder: Path, notes: list[str], wanted: Path | None = None
) -> list[Plane]:
    """Return the planes of the largest stack, sorted along their normal.

    A stack is what agrees in size, pixel spacing, orientation and stack ID.  What is left out
    (a scout in the series, say) is listed in a note.

    Args:
        planes: of one series.
        folder: where they lie, for messages.
        notes: added to.
        wanted: a file whose stack is taken instead of the largest one of other files.

    Raises:
        InputError: less than two planes, or several stacks of similar size.
    """
    stacks = sorted(_stacks(planes), key=len, reverse=True)
    if wanted is not None:
        stacks.sort(key=lambda stack: all(plane.path != wanted for plane in stack))
    stack, *others = stacks
    rivals = others
    if wanted is not None:  # it says nothing of stacks that are in it both
        rivals = [one for one in others if any(plane.path == wanted for plane in one)]
    if len(stack) < 2:
        raise InputError(
            f"{folder} must hold at least 2 slices of a CT that lie alike, got only {stack[0].name}"
        )
    if rivals and len(rivals[0]) > MOST_LEFT_OUT * len(stack):
        raise InputError(
            f"{folder} holds {len(stacks)} stacks of slices in one series, "
            f"{' and '.join(_described(one) for one in stacks[:3])}: choose one by giving a file "
            "of it instead of the folder (frames of one file: split the file)"
        )
    if others:
        left = [plane for other in others for plane in other]
        notes.append(
            f"Took the largest stack, {_described(stack)}, and left out {len(left)} that "
            f"{_difference(left[0], stack[0])}: {listed([plane.name for plane in left])}."
        )
    normal = stack[0].normal
    return sorted(stack, key=lambda plane: float(plane.position_mm @ normal))


def same_places(stack: Sequence[Plane]) -> list[list[Plane]]:
    """Return sorted planes in groups that lie at one place, mostly of one plane each."""
    groups = [[stack[0]]]
    for plane in stack[1:]:
        apart = plane.position_mm - groups[-1][0].position_mm
        if float(np.linalg.norm(apart)) < LEAST_GAP_MM:
            groups[-1].append(plane)
        else:
            groups.append([plane])
    return groups


def stack_affine(stack: Sequence[Plane], folder: Path) -> NDArray[np.float64]:
    """Return the [4,4] ct_from_voxel of planes sorted along their normal, one at each place.

    Raises:
        InputError: planes that are missing or off the line.
    """
    first = stack[0]
    positions_mm = np.stack([plane.position_mm for plane in stack])
    gap_mm = _usual_gap_mm(stack, folder)
    step_mm = (positions_mm[-1] - positions_mm[0]) / (len(stack) - 1)
    on_line_mm = positions_mm[0] + np.arange(len(stack))[:, None] * step_mm
    off_mm = np.linalg.norm(positions_mm - on_line_mm, axis=1)
    if off_mm.max() > LINE_TOLERANCE * gap_mm:
        worst = stack[int(off_mm.argmax())]
        raise InputError(
            f"{folder} must hold slices along one straight line, got {worst.name}, "
            f"that lies {off_mm.max():.2f} mm off it"
        )
    row_spacing_mm, column_spacing_mm = first.spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = first.axes[0] * column_spacing_mm
    affine[:3, 1] = first.axes[1] * row_spacing_mm
    affine[:3, 2] = step_mm
    affine[:3, 3] = first.position_mm
    return affine


def _stacks(planes: Sequence[Plane]) -> list[list[Plane]]:
    stacks: list[list[Plane]] = []
    for plane in planes:
        # the last one first: planes of one stack come one after the other
        for stack in reversed(stacks):
            if _are_alike(plane, stack[0]):
                stack.append(plane)
                break
        else:
            stacks.append([plane])
    return stacks


def _are_alike(one: Plane, other: Plane) -> bool:
    return (
        one.size == other.size
        and one.stack == other.stack
        and bool(np.abs(np.subtract(one.spacing_mm, other.spacing_mm)).max() <= ALIKE)
        and bool(np.abs(one.axes - other.axes).max() <= ALIKE)
    )


def _difference(left: Plane, taken: Plane) -> str:
    if np.abs(left.axes - taken.axes).max() > ALIKE:
        return "have another orientation"
    if left.size != taken.size:
        return "have another size"
    return "belong to another stack" if left.stack != taken.stack else "have another pixel spacing"


def _described(stack: Sequence[Plane]) -> str:
    rows, columns = stack[0].size
    normal = ", ".join(f"{v:.2f}" for v in stack[0].normal + 0.0)
    return f"{len(stack)} slices of {rows}x{columns} across ({normal}), with {stack[0].name}"


def _usual_gap_mm(stack: Sequence[Plane], folder: Path) -> float:
    """Return the distance between neighbouring slices, which must be about the same for all."""
    heights_mm = np.array([plane.position_mm @ stack[0].normal for plane in stack])
    gaps_mm = np.diff(heights_mm)
    usual_mm = float(np.median(gaps_mm))
    if usual_mm < DOUBLED * gaps_mm.max() or gaps_mm.min() < DOUBLED * usual_mm:
        close = int(gaps_mm.argmin())
        raise InputError(
            f"{folder} must hold one slice for each position, got slices {gaps_mm[close]:.2g} and "
            f"{gaps_mm.max():.2g} mm apart, {stack[close].name} and {stack[close + 1].name} lie "
            "almost at one place (a series stored twice?)"
        )
    for index, gap_mm in enumerate(gaps_mm):
        if gap_mm < LEAST_GAP_MM or abs(gap_mm - usual_mm) > GAP_TOLERANCE * usual_mm:
            raise InputError(
                f"{folder} must hold evenly spaced slices, {usual_mm:.2f} mm apart, got "
                f"{gap_mm:.2f} mm after the slice at {heights_mm[index]:.2f} mm (missing slices?), "
                f"between {stack[index].name} and {stack[index + 1].name}"
            )
    return usual_mm
