"""What six numbers mean as a pose: how far it is from the middle of a range, in units of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb, twist_between
from wsreg.geometry.views import pose_towards


@dataclass(frozen=True, kw_only=True)
class PoseFrame:
    """The middle of a range of poses and its units.

    Args:
        camera: geometry of the images.
        view: from which side the middle is seen, by name (``PA``).
        pivot_mm: what turns stay at (CT, LPS mm); in the middle of the image at the middle pose.
        depth_mm: how far from the source it is at the middle pose.
        scale: units of the six pose parameters (rad, mm) of :func:`wsreg.geometry.rigid.perturb`.
    """

    camera: Camera
    view: str
    pivot_mm: tuple[float, float, float]
    depth_mm: float
    scale: tuple[float, float, float, float, float, float]

    @property
    def pivot(self) -> Tensor:
        """Return [3] float64, the pivot (CT, LPS mm)."""
        return torch.tensor(self.pivot_mm, dtype=torch.float64)

    @property
    def units(self) -> Tensor:
        """Return [6] float64, the units."""
        return torch.tensor(self.scale, dtype=torch.float64)

    @property
    def middle(self) -> Tensor:
        """Return [4,4] float64 ``camera_from_ct`` of the middle."""
        return pose_towards(self.pivot, self.camera, self.view, self.depth_mm)

    def pose(self, numbers: Tensor) -> Tensor:
        """Return [B,4,4] float64 poses of numbers [B,6]; differentiable, on their device."""
        twist = numbers.double() * self.units.to(numbers.device)
        middle = self.middle.to(numbers.device).expand(len(numbers), 4, 4)
        return perturb(middle, twist, self.pivot)

    def numbers(self, poses: Tensor) -> Tensor:
        """Return [B,6] float64 numbers of poses [B,4,4]; undoes :meth:`pose`."""
        middle = self.middle.to(poses).expand(len(poses), 4, 4)
        return twist_between(middle, poses, self.pivot) / self.units.to(poses)
