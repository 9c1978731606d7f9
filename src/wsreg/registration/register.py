"""Find where a CT lies in an X-ray: starts, coarse to fine, then a verdict."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.plausibility import check_plausible_pose
from wsreg.geometry.pose_file import check_rigid
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.adam import AdamConfig, minimise_adam
from wsreg.registration.levenberg_marquardt import LevenbergMarquardtConfig, minimise
from wsreg.registration.objective import Level, make_level, rendered
from wsreg.registration.pyramid import volume_pyramid
from wsreg.registration.result import Comparison, RegistrationResult
from wsreg.registration.search import (
    SearchConfig,
    distinct,
    mean_distance_mm,
    poses_around,
    rank,
)
from wsreg.registration.trust import (
    Evidence,
    TrustConfig,
    judge,
    regional_similarity,
    remaining_gain,
    standard_deviation,
)
from wsreg.rendering.numba_backend import load_kernels
from wsreg.rendering.render import Backend, render, resolve_backend
from wsreg.volumes.views import frontal_pose
from wsreg.volumes.volume import Volume

Method = Literal["gauss-newton", "adam"]
METHODS = ("gauss-newton", "adam")
RIVAL = 1.04
"""Another answer rivals the best one if its loss is less than this many times as large.  On real
anatomy the pose one rib or vertebra further has a loss 1.09 times as large as the true one."""
HOPELESS = 1.25
"""A pose whose loss is more than this many times the best one's is not refined any further."""
POLARITY_STARTS = 8
"""How many descents decide between two readings of an X-ray's intensities."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class RegistrationConfig:
    """Settings of a registration; each tuple has one entry for each level, coarse to fine.

    Args:
        method: ``gauss-newton`` (Levenberg-Marquardt) or ``adam`` (the paper's loop).
        image_sizes_px: longer side of the X-ray.
        voxel_sizes_mm: of the CT; never finer than the CT is.
        window_sizes_px: windows of the local NCC.
        global_weight: share of global NCC in the similarity; local NCC has the rest.
        probes: descents from disturbed starts, to see whether the answer is the only one.
        backend: renderer.
        seed: of everything random.
    """

    method: Method = "gauss-newton"
    image_sizes_px: tuple[int, ...] = (48, 96, 192)
    voxel_sizes_mm: tuple[float, ...] = (6.0, 3.0, 1.5)
    window_sizes_px: tuple[tuple[int, ...], ...] = ((7,), (9,), (5,))
    global_weight: float = 1.0 / 3.0
    probes: int = 4
    backend: Backend = "auto"
    seed: int = 0
    descent: LevenbergMarquardtConfig = field(default_factory=LevenbergMarquardtConfig)
    adam: AdamConfig = field(default_factory=AdamConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    trust: TrustConfig = field(default_factory=TrustConfig)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        lengths = {len(self.image_sizes_px), len(self.voxel_sizes_mm), len(self.window_sizes_px)}
        if len(lengths) != 1 or lengths == {0}:
            raise InputError(
                "image_sizes_px, voxel_sizes_mm and window_sizes_px must have one entry for each "
                f"level, got {len(self.image_sizes_px)}, {len(self.voxel_sizes_mm)} and "
                f"{len(self.window_sizes_px)}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Answer:
    """What a solver hands to the verdict."""

    camera_from_ct: Tensor
    iterations: int
    renders: int
    rivals: tuple[Tensor, ...]
    starts: int


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.begin = self.last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.last
        self.last = now

    def stop(self) -> dict[str, float]:
        return {**self.seconds, "total": time.perf_counter() - self.begin}


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
    clock = _Clock()
    start, kind = _start_pose(radiograph, volume, camera, init, view)
    pivot = volume.centre_mm if pivot_mm is None else pivot_mm.to(torch.float64)
    volumes = volume_pyramid(volume, settings.voxel_sizes_mm, labels)
    if backend == "numba":
        load_kernels()
    clock.lap("prepare_ct")
    radiograph, polarity = _settled(radiograph, volumes[0], camera, start, kind, pivot, settings)
    levels = [
        make_level(
            radiograph, camera, at, size, windows, settings.global_weight, pivot, settings.backend
        )
        for at, size, windows in zip(
            volumes, settings.image_sizes_px, settings.window_sizes_px, strict=True
        )
    ]
    clock.lap("prepare_xray")
    if settings.method == "adam":
        answer = _solve_adam(levels, start, kind, settings, clock, progress)
    else:
        answer = _solve_gauss_newton(levels, start, kind, settings, clock, progress)
    return _conclude(
        levels, start, answer, clock,
        radiograph=radiograph, volume=volume, camera=camera, pivot=pivot, backend=backend,
        kind=kind, labels=labels, view=view, settings=settings, polarity=polarity,
    )  # fmt: skip


def _settled(
    radiograph: Radiograph,
    coarse: Volume,
    camera: Camera,
    start: Tensor,
    kind: str,
    pivot: Tensor,
    settings: RegistrationConfig,
) -> tuple[Radiograph, str]:
    """The radiograph in the polarity that fits the CT, where reading it left that open."""
    if radiograph.other_reading is None:
        return radiograph, "as read"
    other = dataclasses.replace(radiograph, image=radiograph.other_reading)
    losses = []
    for reading in (radiograph, other):
        level = make_level(
            reading, camera, coarse, settings.image_sizes_px[0], settings.window_sizes_px[0],
            settings.global_weight, pivot, settings.backend,
        )  # fmt: skip
        starts = _first_poses(level, start, kind, settings)[:POLARITY_STARTS]
        descents = minimise(level.linearize, level.move, starts, settings.descent)
        losses.append(float(descents.values.min()))
    if losses[1] < losses[0]:
        return dataclasses.replace(other, other_reading=None), "opposite, which fits the CT better"
    return dataclasses.replace(radiograph, other_reading=None), "as read, which fits the CT better"


def _first_poses(level: Level, start: Tensor, kind: str, settings: RegistrationConfig) -> Tensor:
    """What the coarsest level begins with: the best poses of a search, or the start and probes."""
    if kind != "search":
        return _with_probes(start, level.pivot_mm, settings)
    tried = poses_around(start, level.pivot_mm, settings.search, settings.seed)
    return rank(level, tried)[0][: settings.search.refined]


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


def _solve_gauss_newton(
    levels: list[Level],
    start: Tensor,
    kind: str,
    settings: RegistrationConfig,
    clock: _Clock,
    progress: Progress,
) -> _Answer:
    """From the first poses; if a given start ends at nothing alike, from a search around it."""
    starts = _first_poses(levels[0], start, kind, settings)
    clock.lap("start")
    answer = _descend(levels, starts, settings, clock, progress)
    tried = settings.search.poses if kind == "search" else 0
    if kind != "search" and _is_lost(levels[-1], answer.camera_from_ct, settings):
        starts = _first_poses(levels[0], start, "search", settings)
        clock.lap("start")
        wider = _descend(levels, starts, settings, clock, progress)
        both = torch.stack((answer.camera_from_ct, wider.camera_from_ct))
        losses = levels[-1].loss(both)
        better = wider if bool(losses[1] < losses[0]) else answer
        tried = settings.search.poses + len(both)
        answer = dataclasses.replace(
            better,
            iterations=answer.iterations + wider.iterations,
            renders=answer.renders + wider.renders,
        )
    return dataclasses.replace(answer, renders=answer.renders + tried)


def _is_lost(level: Level, pose: Tensor, settings: RegistrationConfig) -> bool:
    found = regional_similarity(level.fixed, level.mask, rendered(level, pose))
    return found < settings.trust.regional_similarity[1]


def _descend(
    levels: list[Level],
    starts: Tensor,
    settings: RegistrationConfig,
    clock: _Clock,
    progress: Progress,
) -> _Answer:
    """Coarse to fine; fewer and fewer different poses go on from level to level."""
    search, points = settings.search, levels[0].volume.corners_mm
    iterations = renders = 0
    for number, level in enumerate(levels):
        progress("register", number, len(levels))
        descents = minimise(level.linearize, level.move, starts, settings.descent)
        iterations += descents.iterations
        renders += descents.evaluations
        order = descents.values.argsort()
        starts, losses = descents.camera_from_ct[order], descents.values[order]
        if number < len(levels) - 1:
            count = search.kept if number + 2 < len(levels) else search.finished
            promising = starts[losses <= HOPELESS * losses[0]]
            starts = distinct(promising, count, 2.0 * max(level.volume.spacing_mm), points)
        clock.lap(f"level_{number + 1}")
    progress("register", len(levels), len(levels))
    rivals = starts[1:][losses[1:] < RIVAL * losses[0]]
    return _Answer(
        camera_from_ct=starts[0],
        iterations=iterations,
        renders=renders,
        rivals=tuple(rivals),
        starts=len(starts) - 1,
    )


def _with_probes(start: Tensor, pivot_mm: Tensor, settings: RegistrationConfig) -> Tensor:
    """[1+probes,4,4]: the start, and some beside it: do they all end in one place?"""
    around = SearchConfig(rotation_deg=6.0, shift_mm=15.0, depth_mm=40.0, poses=settings.probes + 1)
    return poses_around(start, pivot_mm, around, settings.seed)


def _solve_adam(
    levels: list[Level],
    start: Tensor,
    kind: str,
    settings: RegistrationConfig,
    clock: _Clock,
    progress: Progress,
) -> _Answer:
    """The paper's loop at the finest level, from the start or the best pose of a search."""
    renders = settings.search.poses if kind == "search" else 0
    if kind == "search":
        start = _first_poses(levels[0], start, kind, settings)[0]
        clock.lap("start")

    def report(done: int, total: int) -> None:
        progress("register", done, total)

    def loss(pose: Tensor) -> Tensor:
        return levels[-1].loss(pose[None])[0]

    descent = minimise_adam(loss, levels[-1].move, start, settings.adam, report)
    clock.lap("adam")
    return _Answer(camera_from_ct=descent.camera_from_ct, iterations=descent.iterations,
                   renders=renders + descent.iterations + 1, rivals=(), starts=0)  # fmt: skip


def _conclude(
    levels: list[Level],
    start: Tensor,
    answer: _Answer,
    clock: _Clock,
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
