"""Find where a CT lies in an X-ray: starts, coarse to fine, then a verdict."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.plausibility import check_plausible_pose
from wsreg.geometry.pose_file import check_rigid
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.objective import Level, make_level, rendered
from wsreg.registration.pyramid import volume_pyramid
from wsreg.registration.result import Comparison, RegistrationResult
from wsreg.registration.search import mean_distance_mm
from wsreg.registration.solving import Answer, Clock, Progress, solve, with_polarity_settled
from wsreg.registration.trust import (
    Evidence,
    judge,
    regional_similarity,
    remaining_gain,
    standard_deviation,
)
from wsreg.rendering.numba_backend import load_kernels
from wsreg.rendering.render import render, resolve_backend
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
        pivot_mm: [3] centre of rotation in CT coordinates; the volume's centre by default.
        config: settings.
        progress: called with (stage, done, total) as work proceeds.

    Returns:
        The result; not converging is part of its verdict, never an exception.

    Raises:
        InputError: for geometry that is missing or does not fit, or a start that cannot be right.
    """
    settings = config or RegistrationConfig()
    backend = resolve_backend(settings.backend)
    camera = _camera_of(radiograph, camera)
    with _one_torch_thread():
        return _register(
            radiograph, volume, camera, init, view, tuple(sorted(set(render_labels))), pivot_mm,
            settings, backend, progress,
        )  # fmt: skip


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


def _register(
    radiograph: Radiograph,
    volume: Volume,
    camera: Camera,
    init: Tensor | str,
    view: str | CArmAngles,
    labels: tuple[int, ...],
    pivot_mm: Tensor | None,
    settings: RegistrationConfig,
    backend: str,
    progress: Progress,
) -> RegistrationResult:
    clock = Clock()
    start, kind = _start_pose(radiograph, volume, camera, init, view)
    pivot = volume.centre_mm if pivot_mm is None else pivot_mm.to(torch.float64)
    volumes = volume_pyramid(volume, settings.voxel_sizes_mm, labels)
    if backend == "numba":
        load_kernels()
    clock.lap("prepare_ct")
    radiograph, polarity = with_polarity_settled(
        radiograph, volumes[0], camera, start, kind, pivot, settings
    )
    levels = [
        make_level(
            radiograph, camera, at, size, windows, settings.global_weight, pivot, settings.backend
        )
        for at, size, windows in zip(
            volumes, settings.image_sizes_px, settings.window_sizes_px, strict=True
        )
    ]
    clock.lap("prepare_xray")
    answer = solve(levels, start, kind, settings, clock, progress)
    return _conclude(
        levels, start, answer, clock,
        radiograph=radiograph, volume=volume, camera=camera, pivot=pivot, backend=backend,
        kind=kind, labels=labels, view=view, settings=settings, polarity=polarity,
    )  # fmt: skip


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
    if init == "search":
        return frontal_pose(volume, camera, view), init
    if init != "dicom":
        raise InputError(f"init must be a pose, 'search' or 'dicom', got {init!r}")
    if radiograph.angles is None:
        raise InputError(
            f"init 'dicom' needs C-arm angles in the header of {radiograph.name}, it has none; "
            "use 'search' or a pose"
        )
    return frontal_pose(volume, camera, radiograph.angles), init


def _conclude(
    levels: list[Level],
    start: Tensor,
    answer: Answer,
    clock: Clock,
    *,
    radiograph: Radiograph,
    volume: Volume,
    camera: Camera,
    pivot: Tensor,
    backend: str,
    kind: str,
    labels: tuple[int, ...],
    view: str | CArmAngles,
    settings: RegistrationConfig,
    polarity: str,
) -> RegistrationResult:
    """Keep the better of start and answer, weigh the evidence, and put the result together."""
    finest = levels[-1]
    start_loss = float(finest.loss(start[None])[0])
    pose, here = answer.camera_from_ct, finest.linearize(answer.camera_from_ct[None])[0]
    if not float(here.value) < start_loss:
        pose, here = start, finest.linearize(start[None])[0]
    moving = rendered(finest, pose)
    valid = int(finest.mask.sum())
    deviation = standard_deviation(here, valid)
    distances = [mean_distance_mm(pose, rival, volume.corners_mm) for rival in answer.rivals]
    evidence = Evidence(
        similarity_start=1.0 - start_loss,
        similarity_end=1.0 - float(here.value),
        regional_similarity=regional_similarity(finest.fixed, finest.mask, moving),
        disagreement_mm=max(distances, default=0.0),
        rivals=len(distances),
        starts=answer.starts,
        depth_deviation_mm=float(deviation[5]),
        remaining_gain=remaining_gain(here),
        overlap=float((moving > 0)[finest.mask].float().mean()) if valid else 0.0,
        masked=1.0 - float(radiograph.mask.float().mean()),
    )
    verdict = judge(evidence, settings.trust)
    comparison = Comparison(
        camera=finest.camera,
        fixed=finest.fixed,
        mask=finest.mask,
        moving_start=rendered(finest, start),
        moving_end=moving,
        rois_end=_roi_lengths(finest, pose, labels),
    )
    clock.lap("verdict")
    return RegistrationResult(
        camera_from_ct=pose,
        start_camera_from_ct=start,
        camera=camera,
        pivot_mm=pivot,
        verdict=verdict,
        similarity_start=evidence.similarity_start,
        similarity_end=evidence.similarity_end,
        standard_deviation=deviation,
        iterations=answer.iterations,
        renders=answer.renders,
        seconds=clock.stop(),
        backend=backend,
        method=settings.method,
        init=kind,
        config={
            **_record(settings, view, labels),
            "polarity": polarity,
            "evidence": dataclasses.asdict(evidence),
        },
        comparison=comparison,
    )


def _roi_lengths(level: Level, pose: Tensor, labels: tuple[int, ...]) -> Tensor:
    known = level.volume.label_values
    shown = [label for label in labels if label in known]
    if not shown:
        return torch.zeros((0, level.camera.rows, level.camera.columns))
    return render(level.volume, level.camera, pose, rois=shown, backend=level.backend)[0, 1:]


def _record(
    settings: RegistrationConfig,
    view: str | CArmAngles,
    labels: tuple[int, ...],
) -> dict[str, Any]:
    return {
        **dataclasses.asdict(settings),
        "view": view if isinstance(view, str) else dataclasses.asdict(view),
        "render_labels": list(labels),
    }
