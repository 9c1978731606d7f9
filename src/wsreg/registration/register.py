"""Find where a CT lies in an X-ray: starts, coarse to fine, then a verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.plausibility import check_plausible_pose
from wsreg.geometry.pose_file import check_rigid
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.bodies import WHOLE, Body
from wsreg.registration.clock import Clock
from wsreg.registration.conclusion import conclude
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.result import RegistrationResult
from wsreg.registration.starts.table import STARTS
from wsreg.registration.strategy import Progress, solve, with_polarity_settled
from wsreg.registration.views import View
from wsreg.rendering.prepared import PreparedCt, check_prepared
from wsreg.rendering.render import resolve_backend
from wsreg.segmentation.region_names import labels_of_region
from wsreg.segmentation.rois import RoiTarget
from wsreg.threads import one_openmp_thread
from wsreg.vocabulary import Method
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume


def register(  # noqa: PLR0913 - the front door: all but the first two have defaults
    radiograph: Radiograph,
    volume: Volume | PreparedCt,
    camera: Camera | None = None,
    init: Tensor | str = "search",
    *,
    view: str | CArmAngles = "PA",
    render_labels: Iterable[int] = (),
    rois: RoiTarget | None = None,
    pivot_mm: Tensor | None = None,
    prepared: PreparedCt | None = None,
    config: RegistrationConfig | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> RegistrationResult:
    """Find the pose of a CT in an X-ray.

    Args:
        radiograph: the X-ray (attenuation, with its mask).
        volume: the CT, or what ``wsreg.prepare`` made of it.
        camera: geometry of the X-ray; the radiograph's own by default.
        init: a start pose [4,4] ``camera_from_ct`` (LPS mm); ``search`` tries many poses around
            ``view`` and needs no start; ``dicom`` starts from the radiograph's C-arm angles.
        view: for ``search``: PA, AP, LAT, RLAT or C-arm angles.
        render_labels: labels of the bones that are registered; only these are rendered.
        rois: regions of interest found in the X-ray, whose overlap with those of the CT is part
            of the loss, and brings far starts near.  With ``render_labels`` only regions of these
            take part: others move by themselves.
        pivot_mm: [3] centre of rotation in CT coordinates; the volume's centre by default.
        prepared: what ``wsreg.prepare`` made of ``volume``, if a caller holds it.
        config: settings.
        progress: called with (stage, done, total) as work proceeds.

    Returns:
        The result; not converging is part of its verdict, never an exception.

    Raises:
        InputError: for geometry that is missing or does not fit, a start that cannot be right,
            regions that do not fit the X-ray, the CT or the method, windows larger than a level's
            image, or a prepared CT of another volume.
    """
    settings = config or RegistrationConfig()
    backend = resolve_backend(settings.backend)
    ct = _prepared(volume, prepared)
    camera = _camera_of(radiograph, camera)
    _check_finite(radiograph)
    labels = tuple(sorted(set(render_labels)))
    if rois is not None:
        _check_rois(rois, radiograph, ct.volume, settings.method)
        if labels:
            rois = _moving_with(labels, rois, ct.volume)
    start, kind = _start_pose(radiograph, ct.volume, camera, init, view)
    identity = torch.eye(4, dtype=torch.float64)
    pivot = _pivot(ct.volume, pivot_mm)
    problem = Problem(
        views=(View(radiograph=radiograph, camera=camera, camera_from_rig=identity, rois=rois),),
        bodies=(Body(name=WHOLE, labels=labels, pivot_mm=pivot),),
        ct=ct,
        start=start[None],
        init=kind,
        view=view,
        settings=settings,
        backend=backend,
    )
    return registered(problem, progress)


def registered(problem: Problem, progress: Progress) -> RegistrationResult:
    """Solve a problem of any number of views and bodies, and conclude."""
    clock = Clock()
    sizes = tuple(level.voxel_mm for level in problem.settings.levels)
    for body in problem.bodies:
        problem.ct.levels(sizes, body.labels)
    clock.lap("prepare_ct")
    with one_openmp_thread():
        problem, polarity = with_polarity_settled(problem)
        levels = make_levels(problem)
        clock.lap("prepare_xray")
        answer = solve(problem, levels, clock, progress)
        return conclude(problem, levels, answer, clock, polarity)


def _prepared(volume: Volume | PreparedCt, prepared: PreparedCt | None) -> PreparedCt:
    held = volume if isinstance(volume, PreparedCt) else PreparedCt(volume=volume)
    if prepared is None:
        return held
    check_prepared(prepared, held.volume)
    return prepared


def _check_finite(radiograph: Radiograph) -> None:
    if not bool(torch.isfinite(radiograph.image[radiograph.mask]).all()):
        raise InputError(
            f"radiograph {radiograph.name} must be finite where its mask is true, "
            "it holds NaN or infinity"
        )


def _pivot(volume: Volume, pivot_mm: Tensor | None) -> Tensor:
    if pivot_mm is None:
        return volume.centre_mm
    if pivot_mm.shape != (3,) or not bool(torch.isfinite(pivot_mm).all()):
        raise InputError(f"pivot_mm must be three finite numbers, got {pivot_mm.tolist()}")
    return pivot_mm.to(torch.float64)


def _check_rois(rois: RoiTarget, radiograph: Radiograph, volume: Volume, method: Method) -> None:
    size, shape = tuple(rois.masks.shape[1:]), tuple(radiograph.image.shape)
    if size != shape:
        raise InputError(
            f"ROI masks must have the X-ray's rows x columns, {shape[0]} x {shape[1]}, "
            f"got {size[0]} x {size[1]}"
        )
    if rois.moving_segmenter is not None and method != "adam":
        raise InputError(
            "method must be adam for regions that a network finds in rendered images, "
            f"got {method!r}"
        )
    known = set(volume.label_values)
    for name, group in zip(rois.names, rois.labels, strict=bool(rois.labels)):
        if rois.moving_segmenter is None and not known.issuperset(group):
            raise InputError(
                f"ROI {name} must be made of labels of the CT {sorted(known)}, "
                f"got {sorted(set(group) - known)}"
            )


def _moving_with(labels: Collection[int], rois: RoiTarget, volume: Volume) -> RoiTarget:
    """Return the regions that are made of these labels and of no others."""
    if rois.moving_segmenter is None:
        return rois.restricted_to(labels)
    groups = [labels_of_region(name, volume) for name in rois.names]
    return rois.at(
        [index for index, group in enumerate(groups) if group and set(group) <= set(labels)]
    )


def _camera_of(radiograph: Radiograph, camera: Camera | None) -> Camera:
    camera = camera or radiograph.camera
    if camera is None:
        raise InputError(
            "camera must be given for a radiograph without geometry of its own: "
            "source_to_detector_mm and pixel_spacing_mm are needed"
        )
    size = tuple(radiograph.image.shape)
    if (camera.rows, camera.columns) != size:
        raise InputError(
            f"camera rows and columns must match the image, {size[0]} x {size[1]}, "
            f"got {camera.rows} x {camera.columns}"
        )
    return camera


def _start_pose(
    radiograph: Radiograph,
    volume: Volume,
    camera: Camera,
    init: Tensor | str,
    view: str | CArmAngles,
) -> tuple[Tensor, str]:
    if isinstance(init, Tensor):
        pose = check_rigid(init, "init")
        check_plausible_pose(pose, camera, volume.corners_mm)
        return pose, "pose"
    named = [name for name in STARTS if name != "pose"]  # a pose is given as such
    if init not in named:
        raise InputError(f"init must be a pose or one of {', '.join(named)}, got {init!r}")
    if init != "dicom":
        return view_pose(volume, camera, view), init
    if radiograph.angles is None:
        raise InputError(
            f"init 'dicom' needs C-arm angles in the header of {radiograph.name}, it has none; "
            "use 'search' or a pose"
        )
    return view_pose(volume, camera, radiograph.angles), "dicom"
