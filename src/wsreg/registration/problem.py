"""One registration as asked for, and the levels at which it is solved."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.landmarks import Landmarks
from wsreg.optimisation.observed import Observe
from wsreg.registration.bodies import Body, LevelBody, level_bodies, whole_ct
from wsreg.registration.config import LevelConfig, RegistrationConfig, judging_measure
from wsreg.registration.level import Level
from wsreg.registration.projection import RoiGrid
from wsreg.registration.recorder import Recorder
from wsreg.registration.starts.pose_estimator import PoseEstimator
from wsreg.registration.terms.config import RoiConfig
from wsreg.registration.terms.image_term import image_term
from wsreg.registration.terms.network_roi_term import NetworkRoiTerm
from wsreg.registration.terms.rendered_roi_term import RenderedRoiTerm
from wsreg.registration.terms.roi_masks import masks_on_grid
from wsreg.registration.terms.term import Term
from wsreg.registration.ties import PIXELS_PER_RESIDUAL, Ties
from wsreg.registration.views import LevelView, View, shrunk
from wsreg.rendering.prepared import PreparedCt
from wsreg.segmentation.rendered import sharpness_per_mm
from wsreg.segmentation.rois import RoiTarget
from wsreg.volumes.volume import Volume


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """What is registered, checked.

    Args:
        views: the X-rays.
        bodies: what moves; the first is the one that the answer's pose is of.
        ct: the CT.
        start: [K,4,4] float64 ``rig_from_body``: the pose given, or the view to search around.
        init: how it is started; the name of a start.
        view: PA, AP ... or C-arm angles, as asked for.
        settings: all others.
        backend: the renderer that runs.
        doubts: what looks wrong about the CT and the labels of the bodies, a sentence each.
        render_labels: the labels that are registered by themselves, if some were asked for; the
            first body has them, and the others are no answers.
        encoder: finds the first pose, where ``init`` says so.
        landmarks: in the first X-ray, that the first pose is found from, where ``init`` says so.
        recorder: keeps the way of every descent, where a trace is wanted.
    """

    views: tuple[View, ...]
    bodies: tuple[Body, ...]
    ct: PreparedCt
    start: Tensor
    init: str
    view: str | CArmAngles
    settings: RegistrationConfig
    backend: str
    doubts: tuple[str, ...] = ()
    render_labels: tuple[int, ...] = ()
    encoder: PoseEstimator | None = None
    landmarks: Landmarks | None = None
    recorder: Recorder | None = None

    @property
    def volume(self) -> Volume:
        """Return the CT as it came."""
        return self.ct.volume

    @property
    def voxel_sizes_mm(self) -> tuple[float | None, ...]:
        """Return those of all levels; levels of a CT are made one from the other."""
        return tuple(level.voxel_mm for level in self.settings.levels)

    def observer(self, level: Level) -> Observe | None:
        """Return what is to observe descents at a level, if anything is."""
        return None if self.recorder is None else self.recorder.begun(level)

    def record(self) -> dict[str, Any]:
        """Return every setting as plain values."""
        angles = self.view if isinstance(self.view, str) else dataclasses.asdict(self.view)
        labels = list(self.render_labels)
        record = {**self.settings.record(), "view": angles, "render_labels": labels}
        rois = next((view.rois for view in self.views if view.rois is not None), None)
        if rois is not None:
            groups = rois.labels or ((),) * len(rois.names)
            record["rois"] = dict(zip(rois.names, map(list, groups), strict=True))
            record["rois_moving"] = "rendered" if rois.moving_segmenter is None else "network"
        return record


def make_levels(problem: Problem, count: int | None = None) -> list[Level]:
    """Return the levels, coarse to fine; only the first ``count`` of them if given.

    Rendered regions are compared on the grid of the next coarser level: outlines are smooth, and
    six regions on the image's own grid would cost more than the image.  A network sees the image.
    """
    configs = problem.settings.levels
    levels: list[Level] = []
    for number, config in enumerate(configs[:count]):
        bodies = problem.bodies if config.apart else whole_ct(problem.bodies)
        below = max(number - 1, 0)
        sizes = problem.voxel_sizes_mm
        of_rois = level_bodies(bodies, problem.ct, sizes, below)
        views = tuple(
            _level_view(
                problem, view, config, RoiLevel(config=configs[below], parts=bodies, bodies=of_rois)
            )
            for view in problem.views
        )
        at_level = level_bodies(bodies, problem.ct, sizes, number)
        levels.append(
            Level(
                bodies=at_level,
                views=views,
                backend=problem.settings.backend,
                ties=_ties(bodies, views),
                number=number,
            )
        )
    return levels


def _ties(bodies: Sequence[Body], views: Sequence[LevelView]) -> Ties | None:
    if not any(body.tie for body in bodies):
        return None
    return Ties(
        ties=tuple(body.tie for body in bodies),
        pivots_mm=torch.stack([body.pivot_mm for body in bodies]),
        residuals=sum(float(view.mask.sum()) for view in views) / PIXELS_PER_RESIDUAL,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class RoiLevel:
    """Where rendered regions are compared: a level's settings, and the bodies there."""

    config: LevelConfig
    parts: tuple[Body, ...]
    bodies: tuple[LevelBody, ...]


def _level_view(
    problem: Problem,
    view: View,
    config: LevelConfig,
    of_rois: RoiLevel,
) -> LevelView:
    small = shrunk(view, config.image_px)
    assert small.camera is not None
    judge = judging_measure(config)
    try:
        measure = config.measure.prepare(small.image, small.mask)
        judging = None if judge is None else judge.prepare(small.image, small.mask)
    except InputError as error:
        size = f"{small.camera.rows} x {small.camera.columns} pixels"
        raise InputError(f"at the level of {size}: {error}") from error
    plain = LevelView(
        camera=small.camera,
        camera_from_rig=view.camera_from_rig,
        fixed=small.image,
        mask=small.mask,
        measure=measure,
        terms=(image_term(measure),),
        judge=judging,
    )
    if view.rois is None:
        return plain
    if view.rois.moving_segmenter is not None:
        return _with_network_rois(plain, view, view.rois, problem)
    return _with_rendered_rois(plain, view, view.rois, problem.settings.roi_terms, of_rois)


def _with_network_rois(
    plain: LevelView, view: View, rois: RoiTarget, problem: Problem
) -> LevelView:
    size = (plain.camera.rows, plain.camera.columns)
    found = masks_on_grid(rois, view.usable.mask, size, [True] * len(rois.names))
    if found is None:
        return plain
    (regions, chosen), segmenter = found, rois.moving_segmenter
    assert segmenter is not None
    term: Term = NetworkRoiTerm(
        regions=regions,
        segmenter=lambda images: segmenter(images)[:, chosen],
        config=problem.settings.roi_terms,
    )
    return plain.with_terms(*plain.terms, term)


def _with_rendered_rois(
    plain: LevelView,
    view: View,
    rois: RoiTarget,
    config: RoiConfig,
    at: RoiLevel,
) -> LevelView:
    camera = shrunk(view, at.config.image_px).camera
    assert camera is not None
    groups = labels_of_bodies(rois.labels, at.parts, at.bodies)
    known = [any(of_body[r] for of_body in groups) for r in range(len(rois.names))]
    found = masks_on_grid(rois, view.usable.mask, (camera.rows, camera.columns), known)
    if found is None:
        return plain
    regions, chosen = found
    term = RenderedRoiTerm(
        regions=regions,
        sharpness_per_mm=sharpness_per_mm(at.bodies[0].volume.volume),
        config=config,
    )
    grid = RoiGrid(
        camera=camera,
        bodies=at.bodies,
        labels=tuple(tuple(of_body[r] for r in chosen) for of_body in groups),
    )
    return dataclasses.replace(plain, terms=(*plain.terms, term), roi_grid=grid)


def labels_of_bodies(
    groups: Sequence[tuple[int, ...]], parts: Sequence[Body], bodies: Sequence[LevelBody]
) -> list[tuple[tuple[int, ...], ...]]:
    """Return, for each body, the labels of each group that belong to it and are there."""
    return [
        tuple(_labels_in(group, part, body) for group in groups)
        for part, body in zip(parts, bodies, strict=True)
    ]


def _labels_in(group: tuple[int, ...], part: Body, body: LevelBody) -> tuple[int, ...]:
    """Return the labels of a region that belong to a body and are there at its resolution."""
    known = body.volume.volume.label_values
    return tuple(label for label in group if label in known and part.has(label))
