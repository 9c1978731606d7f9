"""Perspective-n-point: the pose under which known points project where they were seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, log_so3, rigid, transform_points

CLICK_MM = 2.0
"""Standard deviation of a click on the detector; beyond it a landmark counts less and less."""
PRIOR_RAD = 0.35
"""Standard deviation of the rotation about the start's, 20 degrees: what decides where points leave
a rotation open, and next to nothing where they do not."""
STANDS_ALONE = 4
"""So many points determine a pose; with fewer, the start's rotation decides between several."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PnpSolution:
    """A pose [4,4] ``camera_from_ct``, its cost, and [N] how far each point is off, mm.

    Distances are measured on the detector.
    """

    camera_from_ct: Tensor
    cost: float
    distances_mm: Tensor


def solve_pnp(points_mm: Tensor, pixels: Tensor, camera: Camera, start: Tensor) -> PnpSolution:
    """Return the pose under which points project to pixels, found by robust least squares.

    Args:
        points_mm: [N,3] in the CT.
        pixels: [N,2] (column, row).
        camera: geometry.
        start: [4,4] ``camera_from_ct``; only its rotation is used.

    Returns:
        The best pose near that rotation, all points before the source.
    """
    from scipy.optimize import least_squares

    middle, rotation = points_mm.mean(dim=0), start[:3, :3].double()
    relative = points_mm - middle
    seen = camera.detector_points(pixels)[:, :2]
    prior = PRIOR_RAD if len(points_mm) < STANDS_ALONE else 10.0 * PRIOR_RAD

    def residuals(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        turn, place = torch.from_numpy(parameters).split(3)
        in_camera = relative @ (exp_so3(turn) @ rotation).T + place
        depth = in_camera[:, 2:].clamp_min(1.0)
        off = in_camera[:, :2] / depth * camera.source_to_detector_mm - seen
        return torch.cat((off.flatten() / CLICK_MM, turn / prior)).numpy()

    place = _place_by_size(relative @ rotation.T, seen, camera.source_to_detector_mm)
    begin = torch.cat((torch.zeros(3, dtype=torch.float64), place)).numpy()
    scale = np.array([0.1, 0.1, 0.1, 10.0, 10.0, 50.0])
    found = least_squares(residuals, begin, x_scale=scale, loss="soft_l1", max_nfev=200)
    turn, place = torch.from_numpy(found.x).split(3)
    final = exp_so3(turn) @ rotation
    off = residuals(found.x)[: 2 * len(points_mm)].reshape(-1, 2) * CLICK_MM
    return PnpSolution(
        camera_from_ct=rigid(final, place - final @ middle),
        cost=float(found.cost),
        distances_mm=torch.from_numpy(np.linalg.norm(off, axis=1)),
    )


def solve_pnp_around(
    points_mm: Tensor, pixels: Tensor, camera: Camera, start: Tensor
) -> list[PnpSolution]:
    """Return different poses under which points project to pixels, the best first.

    From the start, and the image upside down; points that determine a pose by themselves are also
    tried from rotations all around.
    """
    half_turn = torch.diag(torch.tensor((-1.0, -1.0, 1.0, 1.0), dtype=torch.float64))
    starts = [start, half_turn @ start]
    if len(points_mm) >= STANDS_ALONE:
        starts += [_turned(turn) @ start for turn in _all_around()]
    found = [solve_pnp(points_mm, pixels, camera, one) for one in starts]
    distinct: list[PnpSolution] = []
    for one in sorted(found, key=lambda solution: solution.cost):
        if all(_apart_mm(one, other, points_mm) > 1.0 for other in distinct):
            distinct.append(one)
    return distinct


def _place_by_size(turned: Tensor, seen: Tensor, source_to_detector_mm: float) -> Tensor:
    """Return [3] where the points' middle is, as far away as their size in the image says."""
    across = (turned[:, :2] - turned[:, :2].mean(dim=0)).norm()
    shown = (seen - seen.mean(dim=0)).norm()
    depth = source_to_detector_mm * float(across / shown.clamp_min(1e-6))
    depth = min(max(depth, 0.2 * source_to_detector_mm), source_to_detector_mm)
    return torch.cat((seen.mean(dim=0) * depth / source_to_detector_mm, torch.tensor([depth])))


def _all_around() -> list[Tensor]:
    """Return rotation vectors [3] of the turns of a cube but for those of the image by itself."""
    axes = torch.eye(3, dtype=torch.float64)
    quarters = [sign * 0.5 * torch.pi * axis for axis in axes for sign in (-1, 1)]
    return [*quarters, torch.pi * axes[0], torch.pi * axes[1]]


def _turned(rotation_vector: Tensor) -> Tensor:
    return rigid(exp_so3(rotation_vector), torch.zeros(3, dtype=torch.float64))


def _apart_mm(one: PnpSolution, other: PnpSolution, points_mm: Tensor) -> float:
    """Return how far two poses are apart at the points, as if 1 rad were 100 mm, whichever more."""
    poses = one.camera_from_ct, other.camera_from_ct
    first, second = (transform_points(pose, points_mm) for pose in poses)
    turn = poses[0][:3, :3] @ poses[1][:3, :3].T
    return max(float((first - second).norm(dim=-1).max()), 100.0 * float(log_so3(turn).norm()))
