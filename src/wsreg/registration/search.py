"""Starts without learning: many poses around a view, ranked coarse, the best refined."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.geometry.rigid import perturb
from wsreg.registration.objective import Level


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How far and how densely to look around a view.

    Args:
        rotation_deg: half range of each rotation, about the camera's x, y, z axes.
        shift_mm, depth_mm: half range in the image plane (at the pivot) and along the rays.
        poses: how many poses are tried.
        refined: how many of them are refined at the coarsest level.
        kept: how many different ones are refined at the next level.
        finished: how many go on to the finest.
    """

    rotation_deg: float = 20.0
    shift_mm: float = 60.0
    depth_mm: float = 100.0
    poses: int = 512
    refined: int = 24
    kept: int = 5
    finished: int = 2


def poses_around(view: Tensor, pivot_mm: Tensor, config: SearchConfig, seed: int) -> Tensor:
    """[poses,4,4] spread evenly (a scrambled Sobol sequence) around a view [4,4], itself first."""
    engine = torch.quasirandom.SobolEngine(6, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    unit = 2.0 * engine.draw(config.poses, dtype=torch.float64) - 1.0
    unit[0] = 0.0
    turn = torch.deg2rad(torch.tensor(config.rotation_deg, dtype=torch.float64)).item()
    shift, depth = config.shift_mm, config.depth_mm
    reach = torch.tensor([turn, turn, turn, shift, shift, depth], dtype=torch.float64)
    return perturb(view.expand(config.poses, 4, 4), unit * reach, pivot_mm)


def rank(level: Level, poses: Tensor, batch: int = 64) -> tuple[Tensor, Tensor]:
    """Poses [B,4,4] from the lowest loss to the highest, and their losses [B]."""
    with torch.no_grad():
        losses = torch.cat([level.loss(some) for some in torch.split(poses, batch)])
    losses = losses.double().nan_to_num(nan=float("inf"))
    order = losses.argsort()
    return poses[order], losses[order]


def distinct(poses: Tensor, count: int, distance_mm: float, points_mm: Tensor) -> Tensor:
    """The first ``count`` of the poses [B,4,4] that are not beside an earlier one.

    Two poses are beside each other within ``distance_mm``, as the mean over CT points [N,3].
    """
    kept: list[Tensor] = []
    for pose in poses:
        if all(mean_distance_mm(pose, other, points_mm) > distance_mm for other in kept):
            kept.append(pose)
        if len(kept) == count:
            break
    return torch.stack(kept)


def mean_distance_mm(a: Tensor, b: Tensor, points_mm: Tensor) -> float:
    """Mean 3D distance between CT points [N,3] under two poses [4,4]."""
    difference = a - b
    moved = points_mm @ difference[:3, :3].T + difference[:3, 3]
    return float(moved.norm(dim=-1).mean())
