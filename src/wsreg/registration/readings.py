"""How an X-ray may be stored: as the camera saw it or mirrored, upright or turned by half a turn.

A half turn needs nothing: a pose that is turned about the optical axis describes it.  No pose
describes a mirrored image, so that is a problem of its own, with the image mirrored back.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from wsreg.geometry.rigid import rigid, transform_points
from wsreg.radiographs.mirror import mirrored_camera, mirrored_radiograph
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.regions import by_image
from wsreg.registration.result import Orientation
from wsreg.registration.views import View

OPPOSITE_SIDE = torch.diag(torch.tensor((-1.0, 1.0, -1.0), dtype=torch.float64))
MIRROR = torch.diag(torch.tensor((-1.0, 1.0, 1.0), dtype=torch.float64))


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """A problem with its X-ray read in one of the two ways.

    Args:
        problem: of the X-ray read so.
        levels: of it, coarse to fine.
        mirrored: whether left and right are exchanged against the X-ray as it came.
    """

    problem: Problem
    levels: Sequence[Level]
    mirrored: bool = False

    @cached_property
    def plain(self) -> Sequence[Level]:
        """Return the levels with the images alone, without regions of interest."""
        return by_image(self.levels)

    def ways(self, *, led: bool) -> Sequence[Level]:
        """Return the levels on which regions lead, or those of the images alone."""
        return self.levels if led else self.plain


def readings_of(problem: Problem, levels: Sequence[Level]) -> tuple[Reading, ...]:
    """Return the ways to read the X-ray of a problem with its levels, as it came first.

    Several X-rays are read as they came, for a rig says how their images lie.
    """
    as_it_came = Reading(problem=problem, levels=levels)
    if len(problem.views) > 1 or not problem.settings.search.mirrored:
        return (as_it_came,)
    mirrored = _mirrored(problem)
    levels = make_levels(mirrored, len(levels))
    return as_it_came, Reading(problem=mirrored, levels=levels, mirrored=True)


def _mirrored(problem: Problem) -> Problem:
    """Return the problem of the mirrored X-ray; the start is the same view."""
    pivot_mm = problem.bodies[0].pivot_mm
    starts = [_moved_to(pose[:3, :3], pose, pivot_mm, flip=True) for pose in problem.start]
    return dataclasses.replace(
        problem,
        views=tuple(mirrored_view(view) for view in problem.views),
        start=torch.stack(starts),
        landmarks=problem.landmarks and problem.landmarks.mirrored(problem.views[0].camera.columns),
    )


def mirrored_view(view: View) -> View:
    return dataclasses.replace(
        view,
        radiograph=mirrored_radiograph(view.radiograph),
        camera=mirrored_camera(view.camera),
        rois=None if view.rois is None else view.rois.mirrored(),
        covered=None if view.covered is None else view.covered.flip(-1),
    )


def near_matches(state: Tensor, pivot_mm: Tensor) -> tuple[Tensor, Tensor]:
    """Return the poses that show nearly the same as a state of one body: (same, other reading).

    Rays run both ways alike, so but for perspective the mirrored image shows the body from the
    opposite side.  And a body is much like its own mirror image, so that the mirrored image
    also shows it from the same side, and the image itself from the opposite one.

    Args:
        state: [1,4,4] of one body in one view.
        pivot_mm: [3] about which it turns (CT, LPS mm).

    Returns:
        Two sets of states, [1,1,4,4] and [2,1,4,4].
    """
    pose = state[0]
    turned = OPPOSITE_SIDE @ pose[:3, :3]
    twin = MIRROR @ pose[:3, :3] @ MIRROR
    same = _moved_to(OPPOSITE_SIDE @ twin, pose, pivot_mm, flip=False)
    other = [_moved_to(rotation, pose, pivot_mm, flip=True) for rotation in (turned, twin)]
    return same[None, None], torch.stack(other)[:, None]


def _moved_to(rotation: Tensor, pose: Tensor, pivot_mm: Tensor, *, flip: bool) -> Tensor:
    """Return a rotation with the pivot where a pose has it, or mirrored at the plane x = 0."""
    centre = transform_points(pose, pivot_mm[None])[0]
    centre = MIRROR @ centre if flip else centre
    return rigid(rotation, centre - rotation @ pivot_mm)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """How an answer looks from the view asked for.

    Args:
        orientation: how the X-ray lies against that view.
        opposite: whether it shows the body from the opposite side.
    """

    orientation: Orientation
    opposite: bool


def seen_from(start: Tensor, pose: Tensor, *, mirrored: bool) -> Seen:
    """Return how the image at a pose [4,4] lies against that at a start [4,4], by quarter turns.

    Args:
        start: the view asked for.
        pose: the answer.
        mirrored: whether the X-ray was mirrored for it.
    """
    turn = pose[:3, :3] @ start[:3, :3].T
    opposite = bool(turn[2, 2] < 0)
    turn = turn @ OPPOSITE_SIDE if opposite else turn
    roll_rad = math.atan2(float(turn[1, 0] - turn[0, 1]), float(turn[0, 0] + turn[1, 1]))
    quarters = round(roll_rad / (math.pi / 2)) % 4
    orientation = _MIRRORED[quarters] if mirrored else _TURNED[quarters]
    return Seen(orientation=orientation, opposite=opposite)


_TURNED: tuple[Orientation, ...] = ("none", "quarter turn", "half turn", "quarter turn")
_MIRRORED: tuple[Orientation, ...] = (
    "mirrored", "mirrored, quarter turn", "mirrored, half turn", "mirrored, quarter turn",
)  # fmt: skip
