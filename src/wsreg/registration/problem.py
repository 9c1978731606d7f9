"""One registration as asked for, and the levels at which it is solved."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.objective import Level, make_level
from wsreg.registration.pyramid import volume_pyramid
from wsreg.registration.roi_terms import make_roi_terms
from wsreg.segmentation.rois import RoiTarget
from wsreg.volumes.volume import Volume

StartKind = Literal["pose", "dicom", "search"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """What is registered, checked.

    Args:
        radiograph, volume: the two images.
        camera: of the radiograph.
        start: [4,4] float64 ``camera_from_ct``: the pose given, or the view to search around.
        kind: where the start is from.
        view: as asked for.
        labels: the only ones rendered; all of the CT if empty.
        rois: regions of the radiograph, if any are known.
        pivot_mm: [3] float64 centre of rotation (LPS mm).
        settings: all others.
        backend: the renderer that runs.
    """

    radiograph: Radiograph
    volume: Volume
    camera: Camera
    start: Tensor
    kind: StartKind
    view: str | CArmAngles
    labels: tuple[int, ...]
    rois: RoiTarget | None
    pivot_mm: Tensor
    settings: RegistrationConfig
    backend: str

    def record(self) -> dict[str, Any]:
        """Every setting as plain values."""
        angles = self.view if isinstance(self.view, str) else dataclasses.asdict(self.view)
        record = {
            **dataclasses.asdict(self.settings), "view": angles, "render_labels": list(self.labels)
        }  # fmt: skip
        if self.rois is not None:
            groups = self.rois.labels or ((),) * len(self.rois.names)
            record["rois"] = dict(zip(self.rois.names, map(list, groups), strict=True))
            record["rois_moving"] = "rendered" if self.rois.moving_segmenter is None else "network"
        return record


def volumes_of(problem: Problem) -> tuple[Volume, ...]:
    """The CT at each level, coarse to fine."""
    return volume_pyramid(problem.volume, problem.settings.voxel_sizes_mm, problem.labels)


def coarsest_level(problem: Problem) -> Level:
    """The first of :func:`make_levels`."""
    return _with_rois(problem, [_plain_level(problem, 0)])[0]


def make_levels(problem: Problem) -> list[Level]:
    """Coarse to fine."""
    count = len(problem.settings.image_sizes_px)
    return _with_rois(problem, [_plain_level(problem, number) for number in range(count)])


def _plain_level(problem: Problem, number: int) -> Level:
    settings = problem.settings
    return make_level(
        problem.radiograph, problem.camera, volumes_of(problem)[number],
        settings.image_sizes_px[number], settings.window_sizes_px[number],
        settings.global_weight, problem.pivot_mm, settings.backend,
    )  # fmt: skip


def _with_rois(problem: Problem, levels: list[Level]) -> list[Level]:
    """The levels with their ROI terms.

    Rendered regions are compared on the grid of the next coarser level: outlines are smooth, and
    six regions on the image's own grid would cost more than the image.  A network sees the image.
    """
    if problem.rois is None:
        return levels
    grids = levels if problem.rois.moving_segmenter is not None else [levels[0], *levels[:-1]]
    return [
        dataclasses.replace(
            level,
            rois=make_roi_terms(
                problem.rois, problem.radiograph.mask, grid.camera, grid.volume, problem.pivot_mm,
                problem.settings.backend, problem.settings.rois,
            ),
        )
        for level, grid in zip(levels, grids, strict=True)
    ]  # fmt: skip
