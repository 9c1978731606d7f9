"""What a registration answers: a pose, how far to trust it, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from wsreg.geometry.camera import Camera

VerdictStatus = Literal["pass", "check", "fail"]

POSE_AXES = ("rx", "ry", "rz", "tx", "ty", "tz")
"""Order of the six pose parameters: rotations (rad) about, then translations (mm) along, the
camera's column, row and depth axes, with the pivot as the centre of rotation."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether to trust a pose, and why: each reason is one sentence."""

    status: VerdictStatus
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The images behind a result at its finest level, all [H,W] and of one size.

    Args:
        camera: geometry of these images (the X-ray's, resampled).
        fixed: the X-ray as registered (attenuation, float32).
        mask: bool, the pixels that took part.
        moving_start, moving_end: rendered at the start and at the answer.
        rois_end: [R,H,W] path length in mm through each registered label at the answer,
            for outlines (empty when there are no labels).
    """

    camera: Camera
    fixed: Tensor
    mask: Tensor
    moving_start: Tensor
    moving_end: Tensor
    rois_end: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class RegistrationResult:
    """The answer of :func:`wsreg.register`.

    Args:
        camera_from_ct: [4,4] float64 rigid pose, LPS mm -> camera mm.
        start_camera_from_ct: [4,4] float64, where the refinement began (for ``search``, the
            named view that the search was centred on).
        camera: the X-ray's geometry at full resolution.
        pivot_mm: [3] float64 centre of rotation in CT coordinates (LPS mm).
        verdict: pass, check or fail, with reasons.
        similarity_start, similarity_end: at the finest level, 1 is a perfect match.
        standard_deviation: [6] float64 in the order and units of ``POSE_AXES``, from the normal
            matrix at the answer.
        iterations, renders: accepted-or-rejected solver steps, and images rendered.
        seconds: wall time by stage, with ``total``.
        backend: the renderer that ran.
        method: the solver that ran.
        init: how it was started: ``pose``, ``dicom`` or ``search``.
        config: every resolved setting, plain numbers and strings.
        comparison: images for pictures.
    """

    camera_from_ct: Tensor
    start_camera_from_ct: Tensor
    camera: Camera
    pivot_mm: Tensor
    verdict: Verdict
    similarity_start: float
    similarity_end: float
    standard_deviation: Tensor
    iterations: int
    renders: int
    seconds: Mapping[str, float]
    backend: str
    method: str
    init: str
    config: Mapping[str, Any] = field(default_factory=dict)
    comparison: Comparison
