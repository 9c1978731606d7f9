"""What the registration of a sequence answers: for each frame and body a pose and how it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.registration.result import Verdict, VerdictStatus
from wsreg.registration.sequence.step import Way


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameBody:
    """One body in one frame.

    Args:
        camera_from_ct: [4,4] float64 in the first view; None where the frame shows nothing.  Of a
            frame that fails it is the best that was found, and not to be relied on.
        verdict: on this body.
    """

    camera_from_ct: Tensor | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameResult:
    """One frame.

    Args:
        number: from 0.
        name: of the X-ray.
        found_by: how it was registered.
        bodies: by name; the verdict of the first is that on the frame.
        mirrored: whether the poses are those of the image with left and right exchanged.
    """

    number: int
    name: str
    found_by: Way
    bodies: Mapping[str, FrameBody]
    mirrored: bool = False

    @property
    def verdict(self) -> Verdict:
        """Return the verdict on the frame, which is that on its first body."""
        return next(iter(self.bodies.values())).verdict


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceBody:
    """What moves as one.

    Args:
        labels: the CT's labels that move with it; none of the whole CT and of the rest.
        pivot_mm: [3] float64 centre of its rotations (CT, LPS mm).
    """

    labels: tuple[int, ...]
    pivot_mm: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceResult:
    """All frames in their order.

    Args:
        frames: of the sequence.
        bodies: by name, the first being that which the others hold on to.
        camera: of the first view.
        seconds: wall time of the registration of all frames.
        config: every resolved setting, plain numbers and strings.
    """

    frames: tuple[FrameResult, ...]
    bodies: Mapping[str, SequenceBody]
    camera: Camera
    seconds: float
    config: Mapping[str, Any] = field(default_factory=dict)

    def count(self, status: VerdictStatus) -> int:
        """Return how many frames have a verdict."""
        return sum(frame.verdict.status == status for frame in self.frames)

    def poses(self, body: str) -> list[Tensor | None]:
        """Return [4,4] ``camera_from_ct`` of a body in each frame, None where it fails."""
        return [
            None if one.verdict.status == "fail" else one.camera_from_ct
            for one in (frame.bodies[body] for frame in self.frames)
        ]
