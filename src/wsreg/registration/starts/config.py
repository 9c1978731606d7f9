"""Settings of a search."""

from __future__ import annotations

from dataclasses import dataclass


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
