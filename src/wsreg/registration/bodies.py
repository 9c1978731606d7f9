"""Rigid parts of the CT: what moves as one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wsreg.rendering.prepared import PreparedCt, PreparedVolume

WHOLE = "ct"
"""Name of the one body that is the whole CT."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """A part of the CT that moves as one.

    Args:
        name: of the body.
        labels: the CT's labels that it is made of; all of the CT if empty.
        pivot_mm: [3] float64 centre of its rotations (CT, LPS mm).
    """

    name: str
    labels: tuple[int, ...]
    pivot_mm: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelBody:
    """A body at one resolution: ``volume`` attenuates where the body is, and nowhere else."""

    volume: PreparedVolume
    pivot_mm: Tensor


def level_bodies(
    bodies: tuple[Body, ...], ct: PreparedCt, voxel_sizes_mm: tuple[float | None, ...]
) -> list[tuple[LevelBody, ...]]:
    """Return the bodies at each voxel size, in the order given."""
    volumes = [ct.levels(voxel_sizes_mm, body.labels) for body in bodies]
    return [
        tuple(
            LevelBody(volume=volume, pivot_mm=body.pivot_mm)
            for volume, body in zip(level, bodies, strict=True)
        )
        for level in zip(*volumes, strict=True)
    ]
