"""The exposed field: what part of the detector the collimator lets the beam reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.vocabulary import CollimatorShape


@dataclass(frozen=True, kw_only=True)
class Collimator:
    """The exposed field.

    Args:
        shape: ``none`` exposes the whole detector.
        centre: (column, row) of the field as a fraction of the image, (0.5, 0.5) is its middle.
        half_size: (column, row) half extent as a fraction of the image's shorter side.
        edge_px: width over which the edge falls off.
        leakage: fraction of the signal left outside the field.
    """

    shape: CollimatorShape = "none"
    centre: tuple[float, float] = (0.5, 0.5)
    half_size: tuple[float, float] = (0.5, 0.5)
    edge_px: float = 2.0
    leakage: float = 0.01

    def __post_init__(self) -> None:
        if self.shape not in get_args(CollimatorShape):
            raise InputError(
                f"collimator shape must be one of {', '.join(get_args(CollimatorShape))}, "
                f"got {self.shape!r}"
            )
        for name in ("centre", "half_size"):
            pair = getattr(self, name)
            if len(pair) != 2 or not np.isfinite(pair).all():
                raise InputError(f"collimator {name} must be two finite numbers, got {pair}")
        if not (0.0 <= self.edge_px < np.inf and 0.0 <= self.leakage <= 1.0):
            raise InputError(
                "collimator edge_px must not be negative and leakage a fraction, "
                f"got {self.edge_px} and {self.leakage}"
            )


def exposed_field(collimator: Collimator, rows: int, columns: int) -> NDArray[np.float32]:
    """Return [rows,columns] fraction of the beam that the collimator passes, soft at its edge."""
    if collimator.shape == "none":
        return np.ones((rows, columns), dtype=np.float32)
    side = min(rows, columns)
    row, column = np.arange(rows)[:, None], np.arange(columns)[None, :]
    dx = np.abs(column - (collimator.centre[0] * columns - 0.5))
    dy = np.abs(row - (collimator.centre[1] * rows - 0.5))
    half_x, half_y = (side * half for half in collimator.half_size)
    if collimator.shape == "circle":
        inside_px = half_x - np.hypot(dx, dy)
    else:
        inside_px = np.minimum(half_x - dx, half_y - dy)
    fraction = np.clip(inside_px / max(collimator.edge_px, 1e-6) + 0.5, 0.0, 1.0)
    field: NDArray[np.float32] = np.float32(collimator.leakage) + np.float32(
        1.0 - collimator.leakage
    ) * fraction.astype(np.float32)
    return field


def sample_collimator(
    generator: np.random.Generator, shape: CollimatorShape, half_size_range: tuple[float, float]
) -> Collimator:
    """Draw a field near the middle of the image, its half extents in the given range."""
    half_size = generator.uniform(*half_size_range, size=2).tolist()
    if shape == "circle":
        half_size[1] = half_size[0]
    column, row = generator.uniform(0.47, 0.53, size=2).tolist()
    return Collimator(
        shape=shape,
        centre=(column, row),
        half_size=(half_size[0], half_size[1]),
        edge_px=generator.uniform(1.0, 4.0),
        leakage=generator.uniform(0.0, 0.02),
    )
