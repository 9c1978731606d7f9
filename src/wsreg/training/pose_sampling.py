"""Poses to learn from: evenly spread over a range, and the same for the same seed and number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import transform_points

SEEN_FRACTION = 0.2
"""A pose leaves the detector empty if less of the bones than this is on it."""
MOST_EMPTY = 0.2
"""A range in which more poses than this leave it empty is refused."""


@dataclass(frozen=True, kw_only=True)
class PoseRange:
    """A normal distribution of the six pose parameters, cut off, about the middle pose.

    Args:
        rotation_sd_deg: about the camera's x (head to feet), y (round the patient) and z axes.
        shift_sd_mm: along x and y, at the pivot.
        depth_sd_mm: along z.
        depth_fraction: where the pivot is at the middle pose, from the source to the detector.
        cut_sd: no parameter is farther off than so many deviations.

    Raises:
        InputError: a deviation that is not positive, or a depth that is not between source and
            detector.
    """

    rotation_sd_deg: tuple[float, float, float] = (14.0, 22.0, 8.0)
    shift_sd_mm: tuple[float, float] = (40.0, 40.0)
    depth_sd_mm: float = 50.0
    depth_fraction: float = 0.715
    cut_sd: float = 2.5

    def __post_init__(self) -> None:
        deviations = (*self.scale, self.cut_sd)
        if not all(0.0 < value < math.inf for value in deviations):
            raise InputError(
                f"deviations and cut of a pose range must be positive and finite, got {self}"
            )
        if not 0.0 < self.depth_fraction < 1.0:
            raise InputError(
                f"depth_fraction of a pose range must be between 0 and 1, got {self.depth_fraction}"
            )

    @property
    def scale(self) -> tuple[float, float, float, float, float, float]:
        """Return the deviations as pose parameters (rad, mm)."""
        rx, ry, rz = (math.radians(angle) for angle in self.rotation_sd_deg)
        return rx, ry, rz, *self.shift_sd_mm, self.depth_sd_mm


POSE_RANGES: Mapping[str, PoseRange] = {
    "wide": PoseRange(),
    "diffpose": PoseRange(
        rotation_sd_deg=(math.degrees(0.2), math.degrees(0.25), math.degrees(0.1)),
        shift_sd_mm=(70.0, 50.0),
        depth_sd_mm=90.0,
        depth_fraction=760.0 / 1020.0,
        cut_sd=4.0,
    ),
}
"""``wide`` holds what C-arms over a pelvis do; ``diffpose`` is the published one of DiffPose
(``diffpose/deepfluoro.py``, ``get_random_offset``; its means of 10 and 5 mm across count from the
middle of each CT, ours from the bones, and are left out)."""


def sample_numbers(poses: PoseRange, seed: int, number: int, count: int) -> Tensor:
    """Return [count,6] float64 pose parameters in units of the deviations, evenly spread.

    Args:
        poses: their range.
        seed, number: of the run and of the batch; all that is drawn follows from them.
        count: how many.
    """
    drawn = int(np.random.default_rng((seed, number)).integers(2**31))
    engine = torch.quasirandom.SobolEngine(6, scramble=True, seed=drawn)
    unit = engine.draw(count, dtype=torch.float64).clamp(1e-9, 1.0 - 1e-9)
    tail = 0.5 * (1.0 + math.erf(-poses.cut_sd / math.sqrt(2.0)))
    level = tail + (1.0 - 2.0 * tail) * unit
    return math.sqrt(2.0) * torch.erfinv(2.0 * level - 1.0)


def empty_fraction(points_mm: Tensor, camera: Camera, poses: Tensor) -> float:
    """Return the fraction of poses [B,4,4] at which hardly any of CT points [N,3] is on the image.

    Raises:
        InputError: it is more than ``MOST_EMPTY``.
    """
    pixels = camera.project(transform_points(poses, points_mm))
    size = torch.tensor([camera.columns, camera.rows], dtype=torch.float64)
    inside = ((pixels > -0.5) & (pixels < size - 0.5)).all(dim=-1)  # NaN is not
    empty = float((inside.double().mean(dim=-1) < SEEN_FRACTION).double().mean())
    if empty > MOST_EMPTY:
        raise InputError(
            f"the pose range must show the bones, {empty:.0%} of its poses leave the detector of "
            f"{camera.columns * camera.pixel_spacing_mm[1]:.0f} x "
            f"{camera.rows * camera.pixel_spacing_mm[0]:.0f} mm all but empty "
            f"(at most {MOST_EMPTY:.0%} may)"
        )
    return empty
