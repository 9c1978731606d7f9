"""Parts of a CT that are rendered by themselves: bones without the soft tissue in their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.volumes.volume import Volume

SOFT_TISSUE_HU = 60
"""Of muscle, which fills the place that a bone leaves."""

MARGIN_VOXELS = 1
"""A bone is cut out with so much air around it: it attenuates nothing at its border."""


@dataclass(frozen=True, kw_only=True)
class CtPart:
    """What of a CT attenuates.

    Args:
        kind: ``whole``; ``alone``, the labels of the one group in air; ``bones``, what the labels
            of the first group attenuate beyond soft tissue, the other groups being bones of their
            own; ``rest``, the CT with soft tissue in the place of the bones of every group.  Bones
            and rest of the same groups add up to the whole.
        groups: of labels, each in ascending order.
    """

    kind: Literal["whole", "alone", "bones", "rest"] = "whole"
    groups: tuple[tuple[int, ...], ...] = ()


WHOLE_CT = CtPart()


def bones_apart(groups: Mapping[str, tuple[int, ...]]) -> dict[str, CtPart]:
    """Return the bones of each group of labels, by the groups' names."""
    return {
        name: CtPart(
            kind="bones", groups=(own, *(group for group in groups.values() if group != own))
        )
        for name, own in groups.items()
    }


def bones_of(volume: Volume, labels: Sequence[int], others: Sequence[int] = ()) -> Volume:
    """Return what labels attenuate beyond soft tissue, cut out with a margin; it keeps its place.

    Voxels beside a label that no bone has are part of it: a bone's edge fills them in part, and
    would stay behind when it moves.  Where two bones meet they belong to neither.

    Args:
        volume: the CT.
        labels: of the bones.
        others: labels of other bones that move by themselves.

    Raises:
        InputError: the CT lacks the labels, or they hold nothing denser than soft tissue.
    """
    if volume.labels is None or not labels or not set(labels) <= set(volume.label_values):
        raise InputError(
            f"labels must name labels of the volume {list(volume.label_values)}, got {list(labels)}"
        )
    box = _box(_is_one_of(volume.labels, labels), volume.hu.shape)
    near = volume.labels[box]
    bone, other = _is_one_of(near, labels), _is_one_of(near, others)
    inside = bone | (_grown(bone) & ~_grown(other))
    excess = torch.where(inside, volume.hu[box].clamp_min(SOFT_TISSUE_HU) - SOFT_TISSUE_HU, 0)
    if not bool(excess.any()):
        raise InputError(
            f"labels {list(labels)} must hold something denser than soft tissue "
            f"({SOFT_TISSUE_HU} HU), they hold nothing"
        )
    margin = (MARGIN_VOXELS,) * 6
    return dataclasses.replace(
        volume,
        hu=torch.nn.functional.pad(excess - 1000, margin, value=-1000),
        ct_from_voxel=volume.ct_from_voxel @ _shift([side.start - MARGIN_VOXELS for side in box]),
        labels=torch.nn.functional.pad(torch.where(bone, near, 0), margin),
        air_hu=-1000.0,
    )


def rest_of(volume: Volume, bones: Sequence[Volume]) -> Volume:
    """Return a CT with soft tissue in the place of its bones, which are cut out of the same grid.

    It attenuates what is left if the bones' part is taken away.
    """
    hu = torch.where(volume.hu <= volume.air_hu, -1000, volume.hu)
    for bone in bones:
        first = first_voxel(bone, volume)
        here, there = zip(
            *(
                _overlap(start, size, whole)
                for start, size, whole in zip(first, bone.hu.shape, hu.shape, strict=True)
            ),
            strict=True,
        )
        hu[here] -= bone.hu[there] + 1000
    return dataclasses.replace(volume, hu=hu.clamp_min(-1000), air_hu=-1000.0)


def first_voxel(part: Volume, whole: Volume) -> tuple[int, int, int]:
    """Return where a part's first voxel lies in the grid it was cut out of, (z, y, x)."""
    to_whole = torch.linalg.solve(whole.ct_from_voxel, part.ct_from_voxel)
    x, y, z = to_whole[:3, 3].round().int().tolist()
    return z, y, x


def _overlap(start: int, size: int, whole: int) -> tuple[slice, slice]:
    """Return where a run of voxels lies in a longer one, and which of its own lie there."""
    first, last = max(start, 0), min(start + size, whole)
    return slice(first, last), slice(first - start, last - start)


def _is_one_of(labels: Tensor, wanted: Sequence[int]) -> Tensor:
    return torch.isin(labels, torch.tensor(tuple(wanted), dtype=labels.dtype))


def _grown(inside: Tensor) -> Tensor:
    """Return where [D,H,W] is true, or beside it along any axis or diagonal."""
    grown = inside
    for axis in range(3):
        line, grown = grown, grown.clone()
        count = line.shape[axis] - 1
        grown.narrow(axis, 1, count).logical_or_(line.narrow(axis, 0, count))
        grown.narrow(axis, 0, count).logical_or_(line.narrow(axis, 1, count))
    return grown


def _box(inside: Tensor, shape: Sequence[int]) -> tuple[slice, slice, slice]:
    """Return the box around what is true, with what lies beside that and what is beside this."""
    sides = []
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        hit = inside.amax(dim=others).nonzero()[:, 0]
        sides.append(slice(max(int(hit[0]) - 2, 0), min(int(hit[-1]) + 3, shape[axis])))
    z, y, x = sides
    return z, y, x


def _shift(zyx: Sequence[int]) -> Tensor:
    """Return [4,4] float64: voxel indices of a cut-out (x,y,z) -> those of the whole."""
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = torch.tensor(zyx[::-1], dtype=torch.float64)
    return matrix
