"""Find where a CT lies in an X-ray: starts, coarse to fine, then a verdict."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.plausibility import check_plausible_pose
from wsreg.geometry.pose_file import check_rigid
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.conclusion import conclude
from wsreg.registration.config import Method, RegistrationConfig
from wsreg.registration.problem import Problem, StartKind, make_levels, volumes_of
from wsreg.registration.result import RegistrationResult
from wsreg.registration.solving import Clock, Progress, solve, with_polarity_settled
from wsreg.rendering.numba_backend import load_kernels
from wsreg.rendering.render import resolve_backend
from wsreg.segmentation.region_names import labels_of_region
from wsreg.segmentation.rois import RoiTarget
from wsreg.volumes.views import frontal_pose
from wsreg.volumes.volume import Volume


def register(
    radiograph: Radiograph,
    volume: Volume,
    camera: Camera | None = None,
    init: Tensor | Literal["search", "dicom"] = "search",
    *,
    view: str | CArmAngles = "PA",
    render_labels: Iterable[int] = (),
    rois: RoiTarget | None = None,
    pivot_mm: Tensor | None = None,
    config: RegistrationConfig | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> RegistrationResult:
    """Find the pose of a CT in an X-ray.

    Args:
        radiograph: the X-ray (attenuation, with its mask).
        volume: the CT.
        camera: geometry of the X-ray; the radiograph's own by default.
        init: a start pose [4,4] ``camera_from_ct`` (LPS mm); ``search`` tries many poses around
            ``view`` and needs no start; ``dicom`` starts from the radiograph's C-arm angles.
        view: for ``search``: PA, AP, LAT, RLAT or C-arm angles.
        render_labels: labels of the bones that are registered; only these are rendered.
        rois: regions of interest found in the X-ray, whose overlap with those of the CT is part
            of the loss, and brings far starts near.  With ``render_labels`` only regions of these
            take part: others move by themselves.
        pivot_mm: [3] centre of rotation in CT coordinates; the volume's centre by default.
        config: settings.
        progress: called with (stage, done, total) as work proceeds.

    Returns:
        The result; not converging is part of its verdict, never an exception.

    Raises:
        InputError: for geometry that is missing or does not fit, a start that cannot be right, or
            regions that do not fit the X-ray, the CT or the method.
    """
    settings = config or RegistrationConfig()
    backend = resolve_backend(settings.backend)
    camera = _camera_of(radiograph, camera)
    labels = tuple(sorted(set(render_labels)))
    if rois is not None:
        _check_rois(rois, radiograph, volume, settings.method)
        if labels:
            rois = _moving_with(labels, rois, volume)
    clock = Clock()
    with _one_torch_thread():
        start, kind = _start_pose(radiograph, volume, camera, init, view)
        problem = Problem(
            radiograph=radiograph,
            volume=volume,
            camera=camera,
            start=start,
            kind=kind,
            view=view,
            labels=labels,
            rois=rois,
            pivot_mm=volume.centre_mm if pivot_mm is None else pivot_mm.to(torch.float64),
            settings=settings,
            backend=backend,
        )
        return _registered(problem, clock, progress)


@contextlib.contextmanager
def _one_torch_thread() -> Iterator[None]:
    """The tensors here are small: waiting for torch's threads to meet costs more than they save.

    On a busy machine it costs 10 to 50 times more.  The march has threads of its own.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _registered(problem: Problem, clock: Clock, progress: Progress) -> RegistrationResult:
    volumes_of(problem)  # kept for as long as the volume lives
    if problem.backend == "numba":
        load_kernels()
    clock.lap("prepare_ct")
    problem, polarity = with_polarity_settled(problem)
    levels = make_levels(problem)
    clock.lap("prepare_xray")
    answer = solve(problem, levels, clock, progress)
    return conclude(problem, levels, answer, clock, polarity)


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
    """The regions that are made of these labels and of no others."""
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
) -> tuple[Tensor, StartKind]:
    if isinstance(init, Tensor):
        pose = check_rigid(init, "init")
        check_plausible_pose(pose, camera, volume.corners_mm)
        return pose, "pose"
    if init == "search":
        return frontal_pose(volume, camera, view), "search"
    if init != "dicom":
        raise InputError(f"init must be a pose, 'search' or 'dicom', got {init!r}")
    if radiograph.angles is None:
        raise InputError(
            f"init 'dicom' needs C-arm angles in the header of {radiograph.name}, it has none; "
            "use 'search' or a pose"
        )
    return frontal_pose(volume, camera, radiograph.angles), "dicom"
