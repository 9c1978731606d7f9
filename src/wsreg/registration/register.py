"""Find where a CT lies in X-rays: starts, coarse to fine, then a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.asked import (
    Rigs,
    asked_ct,
    asked_labels,
    asked_pivot,
    asked_views,
    check_shows_something,
    checked_rois,
)
from wsreg.registration.asked_start import asked_start
from wsreg.registration.bodies import Body, bodies_for, make_bodies, whole_ct
from wsreg.registration.clock import Clock
from wsreg.registration.conclusion import conclude
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.label_doubts import label_doubts
from wsreg.registration.polarity import or_in_opposite_polarity, with_polarity_settled
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.recorder import Recorder
from wsreg.registration.result import RegistrationResult
from wsreg.registration.single_bone import near_its_start
from wsreg.registration.solver import solve
from wsreg.registration.strategy import Progress
from wsreg.rendering.loading import load_kernels
from wsreg.rendering.prepared import PreparedCt
from wsreg.rendering.render import resolve_backend
from wsreg.segmentation.rois import RoiTarget
from wsreg.threads import one_openmp_thread
from wsreg.volumes.bodies import Bodies
from wsreg.volumes.plausible_hu import hounsfield_doubt
from wsreg.volumes.volume import Volume


def register(  # noqa: PLR0913 - the front door: all but the first two have defaults
    radiograph: Radiograph | Sequence[Radiograph],
    volume: Volume | PreparedCt,
    camera: Camera | Sequence[Camera | None] | None = None,
    init: Any = "search",
    *,
    rig: Rigs = None,
    view: str | CArmAngles | None = None,
    bodies: Bodies = "auto",
    joints_mm: Mapping[str, Any] | None = None,
    render_labels: Iterable[int | str] | int | str = (),
    rois: RoiTarget | Sequence[RoiTarget | None] | None = None,
    pivot_mm: Any = None,
    prepared: PreparedCt | None = None,
    config: RegistrationConfig | None = None,
    trace: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> RegistrationResult:
    """Find the pose of a CT, or of each bone in it, in an X-ray or in several of one pose.

    Args:
        radiograph: the X-ray (attenuation, with its mask), or several.
        volume: the CT, or what ``wsreg.prepare`` made of it.
        camera: geometry of the X-ray, or of each; the radiograph's own by default.
        init: a start pose [4,4] ``camera_from_ct`` (LPS mm) in the first X-ray, as every array
            here a tensor, a NumPy array or nested lists; ``search`` tries
            many poses around ``view`` and needs no start; ``dicom`` starts from the first
            radiograph's C-arm angles; ``encoder:DIR`` from the pose that an encoder trained on
            this CT finds in it, or what ``load_pose_estimator`` reads; ``encoder:generic`` is one
            of many people, for any CT with labels of the hip bones; ``roi`` from size, place and
            axes of ``rois`` alone; ``landmarks:FILE`` from landmarks found in the X-ray, or what
            ``read_landmarks`` reads.
        rig: where the cameras of several X-rays stand: a [4,4] ``camera_from_rig`` for each, or
            what ``wsreg.read_rig`` reads.
        view: of the first X-ray, for ``search``: PA, AP, LAT, RLAT or C-arm angles; by default the
            one that its header names, else PA.
        bodies: what moves by itself: names with the labels that move together, such as
            ``{"pelvis": (1, 2, 3, 4), "left-femur": (5,)}``, besides which the rest of the CT is a
            body; ``pelvis`` for pelvis with spine, femurs and the rest, by the names of the labels;
            None for the whole CT as one.  By default ``pelvis`` where the labels have these names,
            else None.  The answer's pose is the first body's.
        joints_mm: body -> [3] centre of its joint with the first body (CT, LPS mm), where it is
            known better than from the labels.
        render_labels: labels of the bones that are registered, as one, by value or name; the rest
            of the CT goes along nearly free (with ``adam`` these bones alone are rendered).  From a
            given pose they are looked for near it, and where they are not found that pose is
            returned and fails.
        rois: regions of interest found in the X-ray, or in each, whose overlap with those of the CT
            brings far starts near; where the image alone finds an answer they are compared only.
            For ``adam`` they are part of the loss.  With ``render_labels`` only regions of these
            take part: others move by themselves.
        pivot_mm: [3] centre of rotation in CT coordinates; by default the volume's centre, or the
            middle of ``render_labels``.
        prepared: what ``wsreg.prepare`` made of ``volume``, if a caller holds it.
        config: settings.
        trace: whether to keep the way that led to the answer, ``result.trace``.
        progress: called with (stage, done, total) as work proceeds.

    Returns:
        The result; not converging is part of its verdict, never an exception.

    Raises:
        InputError: for geometry that is missing or does not fit, a start that cannot be right,
            bodies that are none of the CT, a rig that is not of these X-rays, regions that do not
            fit the X-ray, the CT or the method, windows larger than a level's image, a prepared CT
            of another volume, or a CT for which memory is not enough.
    """
    with one_openmp_thread():
        load_solver(config)  # which is no registration's time
        clock = Clock()
        problem = asked_problem(
            radiograph, volume, camera, init, rig=rig, view=view, bodies=bodies,
            joints_mm=joints_mm, render_labels=render_labels, rois=rois, pivot_mm=pivot_mm,
            prepared=prepared, config=config, trace=trace,
        )  # fmt: skip
        check_shows_something(problem.views, problem.ct.volume)
        return registered(problem, progress, clock)


def load_solver(config: RegistrationConfig | None) -> None:
    """Load, or compile, the kernels that a registration with these settings calls.

    Raises:
        InputError: there is no such renderer.
        BackendError: it does not run here.
    """
    if resolve_backend((config or RegistrationConfig()).backend) == "numba":
        load_kernels()


def asked_problem(  # noqa: PLR0913 - what the front doors are asked for
    radiograph: Radiograph | Sequence[Radiograph],
    volume: Volume | PreparedCt,
    camera: Camera | Sequence[Camera | None] | None,
    init: Any,
    *,
    rig: Rigs,
    view: str | CArmAngles | None,
    bodies: Bodies,
    joints_mm: Mapping[str, Any] | None,
    render_labels: Iterable[int | str] | int | str = (),
    rois: RoiTarget | Sequence[RoiTarget | None] | None = None,
    pivot_mm: Any = None,
    prepared: PreparedCt | None = None,
    config: RegistrationConfig | None = None,
    trace: bool = False,
) -> Problem:
    """Return the problem that :func:`register` is asked to solve, checked.

    Raises:
        InputError: as there.
    """
    settings = config or RegistrationConfig()
    backend = resolve_backend(settings.backend)
    ct = asked_ct(volume, prepared)
    labels = asked_labels(ct.volume, render_labels)
    views = asked_views(radiograph, rig, camera, rois)
    views = checked_rois(views, ct.volume, labels, settings.method)
    start = asked_start(views, ct, init, view)
    parts = make_bodies(
        ct,
        bodies_for(settings.method, bodies),
        render_labels=labels,
        pivot_mm=None if pivot_mm is None else asked_pivot(ct.volume, pivot_mm),
        joints_mm=joints_mm or {},
        method=settings.method,
        ties=settings.ties,
    )
    ct.check_memory(several=len(parts) > 1)
    return Problem(
        views=views,
        bodies=parts,
        ct=ct,
        start=start.pose.expand(len(parts), 4, 4).contiguous(),
        init=start.init,
        view=start.view,
        settings=settings,
        backend=backend,
        doubts=_doubts(ct, parts),
        render_labels=labels,
        encoder=start.encoder,
        landmarks=start.landmarks,
        recorder=Recorder() if trace else None,
    )


def registered(
    problem: Problem, progress: Progress, clock: Clock | None = None
) -> RegistrationResult:
    """Solve a problem of any number of views and bodies, and conclude."""
    clock = clock or Clock()
    for body in (*problem.bodies, *whole_ct(problem.bodies)):
        problem.ct.levels(problem.voxel_sizes_mm, body.part)
    clock.lap("prepare_ct")
    problem, polarity = with_polarity_settled(problem)
    levels = make_levels(problem)
    clock.lap("prepare_xray")
    answer = solve(problem, levels, clock, progress)
    answer, polarity = or_in_opposite_polarity(problem, answer, polarity, clock)
    answer = near_its_start(answer, clock)
    return conclude(answer, clock, polarity)


def _doubts(ct: PreparedCt, bodies: Sequence[Body]) -> tuple[str, ...]:
    """Return what looks wrong about the CT and its labels, looked at once for the same bodies."""
    joints = [body.joint and (body.joint.radius_mm, body.joint.given) for body in bodies]
    key = tuple((body.name, body.part, joint) for body, joint in zip(bodies, joints, strict=True))
    of_labels = ct.keep(("doubts", key), lambda: label_doubts(ct, bodies))
    return (*ct.keep(("hounsfield",), lambda: _grey_doubts(ct)), *of_labels)


def _grey_doubts(ct: PreparedCt) -> tuple[str, ...]:
    """Return why the CT, which need not come from a file, cannot hold Hounsfield units."""
    doubt = hounsfield_doubt(ct.volume.hu.numpy())
    return (f"The CT does not seem to hold Hounsfield units: {doubt}.",) if doubt else ()
