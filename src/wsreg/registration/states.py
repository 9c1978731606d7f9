"""States: the poses of all bodies [K,4,4], moved together and told apart."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.geometry.rigid import inverse_rigid, perturb

HALF_TURN = torch.diag(torch.tensor((-1.0, -1.0, 1.0, 1.0), dtype=torch.float64))
"""Of the camera about its optical axis."""


def moved_together(state: Tensor, steps: Tensor, pivot_mm: Tensor) -> Tensor:
    """Return states [N,K,4,4]: one state [K,4,4] moved as a whole by each of steps [N,6].

    The steps are pose parameters about the rig's axes and the first body's pivot [3] (CT, LPS mm).
    """
    first = state[0].expand(len(steps), 4, 4)
    motion = perturb(first, steps, pivot_mm) @ inverse_rigid(state[0])
    return motion[:, None] @ state


def with_bodies(states: Tensor, count: int) -> Tensor:
    """Return states [...,K,4,4] as those of ``count`` bodies.

    Bodies that come apart begin where the whole CT was; of more than one the first is kept, which
    stands for all, where they move together again.
    """
    if states.shape[-3] == count:
        return states
    first = states[..., :1, :, :]
    return first.expand(*states.shape[:-3], count, 4, 4).contiguous()


def spread_around(
    state: Tensor, pivot_mm: Tensor, half_range: Tensor, count: int, seed: int
) -> Tensor:
    """Return states [count,K,4,4] spread evenly around one [K,4,4], itself first.

    Args:
        state: in the middle.
        pivot_mm: [3] of the first body (CT, LPS mm).
        half_range: [6] how far each pose parameter goes.
        count: how many.
        seed: of the scrambled Sobol sequence.
    """
    engine = torch.quasirandom.SobolEngine(6, scramble=True, seed=seed)
    unit = 2.0 * engine.draw(count, dtype=torch.float64) - 1.0
    unit[0] = 0.0
    return moved_together(state, unit * half_range, pivot_mm)


def mean_distance_mm(a: Tensor, b: Tensor, points_mm: Tensor) -> float:
    """Return the mean 3D distance between CT points [N,3] under two states [K,4,4].

    It is that of the body which differs most.
    """
    difference = a - b
    moved = points_mm @ difference[:, :3, :3].mT + difference[:, None, :3, 3]
    return float(moved.norm(dim=-1).mean(dim=-1).max())


def distinct(states: Tensor, count: int, distance_mm: float, points_mm: Tensor) -> Tensor:
    """Return the first ``count`` of the states [B,K,4,4] that are not beside an earlier one.

    Two states are beside each other within ``distance_mm``, as :func:`mean_distance_mm` has it.
    """
    kept: list[Tensor] = []
    for state in states:
        if all(mean_distance_mm(state, other, points_mm) > distance_mm for other in kept):
            kept.append(state)
        if len(kept) == count:
            break
    return torch.stack(kept)
