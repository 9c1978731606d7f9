"""The front door of sequences: frames, a CT and a start in, poses of bodies in all frames out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.registration.asked import Rigs
from wsreg.registration.bodies import whole_ct
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.problem import Problem
from wsreg.registration.register import asked_problem, load_solver
from wsreg.registration.sequence.frames import Frame, FrameRois, Frames, FrameViews, blank_views
from wsreg.registration.sequence.passes import tried
from wsreg.registration.sequence.result import (
    FrameBody,
    FrameResult,
    SequenceBody,
    SequenceResult,
)
from wsreg.registration.sequence.step import Step, Way, best_of
from wsreg.registration.sequence.tracker import Tracker
from wsreg.registration.strategy import Progress
from wsreg.rendering.prepared import PreparedCt
from wsreg.threads import one_openmp_thread
from wsreg.volumes.bodies import Bodies
from wsreg.volumes.volume import Volume


def register_sequence(  # noqa: PLR0913 - a front door: all but the first two have defaults
    frames: Sequence[FrameViews],
    volume: Volume | PreparedCt,
    camera: Camera | Sequence[Camera | None] | None = None,
    init: Any = "search",
    *,
    rig: Rigs = None,
    view: str | CArmAngles | None = None,
    bodies: Bodies = "auto",
    joints_mm: Mapping[str, Any] | None = None,
    rois: Sequence[FrameRois] | None = None,
    prepared: PreparedCt | None = None,
    config: RegistrationConfig | None = None,
    steps: Sequence[Step] = (),
    on_step: Callable[[Step], object] = lambda step: None,
    progress: Progress = lambda stage, done, total: None,
) -> SequenceResult:
    """Find the pose of a CT, or of each bone in it, in frames that one camera took of it.

    The first frame is registered as a single X-ray.  Each other one begins at the last answer and
    where that was going; what is lost is tried again from the frames after it, and by a search
    around the nearest answer.  Every frame has a pose and a verdict by its own image, or a reason
    why there is none: nothing is smoothed, and nothing is interpolated.

    Args:
        frames: X-rays of one camera in their order, or for each frame a tuple of one for each view
            of the rig.  A sequence that raises ``InputError`` for a frame cannot read that one,
            which is named.
        volume, camera, init, rig, view, bodies, joints_mm, prepared, config: as of
            :func:`wsreg.register`, the same for all frames; start and view are those of the first.
        rois: regions of interest of each frame (of each view, for a rig), None where there are
            none.
        steps: the attempts of an earlier run, which are not made again.
        on_step: called with every attempt that is made, to be kept.
        progress: called with (stage, done, total) as frames are finished.

    Raises:
        InputError: no frame, none that can be read, frames that differ in size or camera, and all
            that :func:`wsreg.register` refuses.
    """
    with one_openmp_thread():
        found = Frames(radiographs=_listed(frames), rois=_as_many(rois, len(frames)))
        problem = _problem_of(
            found, volume, camera, init, rig=rig, view=view, bodies=bodies,
            joints_mm=joints_mm, prepared=prepared, config=config,
        )  # fmt: skip
        load_solver(config)  # which is no sequence's time
        begin = time.perf_counter()
        tracker = Tracker(problem=problem, frames=found, any_camera=camera is not None)
        attempt = _counted(_remembered(tracker.attempt, steps, on_step), len(found), progress)
        results = [_frame(problem, best_of(one)) for one in tried(len(found), attempt)]
        return SequenceResult(
            frames=tuple(results),
            bodies={
                body.name: SequenceBody(labels=body.labels, pivot_mm=body.pivot_mm)
                for body in problem.bodies
            },
            camera=problem.views[0].camera,
            seconds=time.perf_counter() - begin,
            config=problem.record(),
        )


def _listed(frames: Sequence[FrameViews]) -> Sequence[FrameViews]:
    if not hasattr(frames, "__getitem__") or not hasattr(frames, "__len__"):
        raise InputError(f"frames must be a list of X-rays, got {type(frames).__name__}")
    if not len(frames):
        raise InputError("frames must be at least one X-ray, got none")
    return frames


def _as_many(rois: Sequence[FrameRois] | None, count: int) -> Sequence[FrameRois] | None:
    if rois is not None and len(rois) != count:
        raise InputError(f"rois must be one for each frame, got {len(rois)} for {count} frames")
    return rois


def _problem_of(
    frames: Frames, volume: Volume | PreparedCt, camera: Any, init: Any, **asked: Any
) -> Problem:
    """Return the problem of the first frame that shows something, with the CT prepared."""
    first = _first_frame(frames)
    problem = asked_problem(first.radiographs, volume, camera, init, rois=list(first.rois), **asked)
    if problem.settings.method != "gauss-newton":
        raise InputError(
            f"method must be gauss-newton for a sequence, got {problem.settings.method!r}"
        )
    for body in (*problem.bodies, *whole_ct(problem.bodies)):
        problem.ct.levels(problem.voxel_sizes_mm, body.part)
    return problem


def _first_frame(frames: Frames) -> Frame:
    """Return the first frame that shows something, or else the first that can be read.

    Raises:
        InputError: none can be read.
    """
    readable, reason = None, None
    for number in range(len(frames)):
        try:
            frame = frames[number]
        except InputError as error:
            reason = reason or error
            continue
        if not blank_views(frame):
            return frame
        readable = readable or frame
    if readable is None:
        raise InputError(f"frames must hold one that can be read: {reason}") from reason
    return readable


Attempt = Callable[[int, Way, Sequence[Step]], Step]


def _remembered(
    attempt: Attempt, steps: Sequence[Step], on_step: Callable[[Step], object]
) -> Attempt:
    """Return the same attempts, but for those that an earlier run has made."""
    known = {(step.frame, step.way): step for step in steps}

    def remembered(number: int, way: Way, found: Sequence[Step]) -> Step:
        for one in (way, "none"):
            if (number, one) in known:
                return known[number, one]
        step = attempt(number, way, found)
        on_step(step)
        return step

    return remembered


def _counted(attempt: Attempt, count: int, progress: Progress) -> Attempt:
    """Return the same attempts, which tell how many frames they have come to."""
    seen: set[int] = set()

    def counted(number: int, way: Way, found: Sequence[Step]) -> Step:
        progress("register", len(seen), count)
        step = attempt(number, way, found)
        seen.add(number)
        progress("register", len(seen), count)
        return step

    return counted


def _frame(problem: Problem, step: Step) -> FrameResult:
    poses = [None] * len(problem.bodies) if step.state is None else list(step.state)
    return FrameResult(
        number=step.frame,
        name=step.name,
        found_by=step.way,
        mirrored="mirrored" in step.orientation,
        bodies={
            body.name: FrameBody(camera_from_ct=pose, verdict=verdict)
            for body, pose, verdict in zip(problem.bodies, poses, step.verdicts, strict=True)
        },
    )
