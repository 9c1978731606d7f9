"""Settings of a search."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wsreg.errors import InputError

WIDER, MORE = 1.75, 4
"""How much farther a search looks that comes when all else has failed, from how many more poses."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How far and how densely to look around a view.

    Args:
        rotation_deg: half range of each rotation, about the camera's x, y, z axes.
        shift_mm, depth_mm: half range in the image plane (at the pivot) and along the rays.
        poses: how many poses are tried, in each orientation.
        refined: how many of them are refined at the coarsest level, in each reading of the X-ray.
        kept: how many different ones are refined at the next level.
        finished: how many go on to the finest.
        half_turned: whether the image is also looked for upside down.
        mirrored: whether it is also read with left and right exchanged.

    Raises:
        InputError: a number under 1.
    """

    rotation_deg: float = 20.0
    shift_mm: float = 60.0
    depth_mm: float = 100.0
    poses: int = 128
    refined: int = 8
    kept: int = 5
    finished: int = 2
    half_turned: bool = True
    mirrored: bool = True

    def __post_init__(self) -> None:
        if min(self.poses, self.refined, self.kept, self.finished) < 1:
            raise InputError(
                "poses, refined, kept and finished of a search must be at least 1, got "
                f"{self.poses}, {self.refined}, {self.kept} and {self.finished}"
            )

    def wider(self) -> SearchConfig:
        """Return a search that looks farther around, with more poses."""
        return replace(
            self,
            rotation_deg=WIDER * self.rotation_deg,
            shift_mm=WIDER * self.shift_mm,
            poses=MORE * self.poses,
            refined=MORE * self.refined,
        )
