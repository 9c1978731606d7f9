"""What a registration answers: a pose, how far to trust it, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import inverse_rigid
from wsreg.registration.trace_step import TraceStep

VerdictStatus = Literal["pass", "check", "fail"]
Orientation = Literal[
    "none", "half turn", "quarter turn",
    "mirrored", "mirrored, half turn", "mirrored, quarter turn",
]  # fmt: skip

POSE_AXES = ("rx", "ry", "rz", "tx", "ty", "tz")
"""Order of the six pose parameters: rotations (rad) about, then translations (mm) along, the
camera's column, row and depth axes, with the pivot as the centre of rotation."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether to trust a pose, and why: each reason is one sentence."""

    status: VerdictStatus
    reasons: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Verdict({self.status}: {' '.join(self.reasons)})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The images behind a result at its finest level, all [H,W] and of one size.

    Args:
        camera: geometry of these images (the X-ray's, resampled).
        fixed: the X-ray as registered (attenuation, float32).
        mask: bool, the pixels that took part.
        moving_start, moving_end: rendered at the start and at the answer.
        rois_end: [R,H,W] path length in mm through each region, body or label at the answer, for
            outlines (empty where there is none), and ``roi_names`` their names.
    """

    camera: Camera
    fixed: Tensor
    mask: Tensor
    moving_start: Tensor
    moving_end: Tensor
    rois_end: Tensor
    roi_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Comparison({self.camera.rows} rows x {self.camera.columns} columns)"


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyResult:
    """Where one body is.

    Args:
        labels: the CT's labels that move with it; none of the whole CT and of the rest.
        camera_from_ct: [4,4] float64 in the first view; it moves the CT so that this body fits.
        pivot_mm: [3] float64 centre of its rotations in CT coordinates (LPS mm).
        standard_deviation: [6] as that of the result.
        verdict: on this body.
        shown: fraction of it that the X-rays show; the least shown is that of the best view.
    """

    labels: tuple[int, ...]
    camera_from_ct: Tensor
    pivot_mm: Tensor
    standard_deviation: Tensor
    verdict: Verdict
    shown: float

    def __repr__(self) -> str:
        x, y, z = self.camera_from_ct[:3, 3].tolist()
        return (
            f"BodyResult({self.verdict.status}, {self.shown:.0%} shown, "
            f"translation ({x:.1f}, {y:.1f}, {z:.1f}) mm)"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewResult:
    """One X-ray of a registration.

    Args:
        name: of the X-ray.
        camera: its geometry at full resolution.
        camera_from_rig: [4,4] float64 where its camera stands.
        similarity_start, similarity_end: at the finest level.
        orientation: how the X-ray lies against the view or the start that was asked for.  Turns are
            part of the pose, which is that of the X-ray as it came; of a mirrored X-ray it is that
            of the image mirrored back, left and right exchanged, and so is the camera.
        comparison: images for pictures.
    """

    name: str
    camera: Camera
    camera_from_rig: Tensor
    similarity_start: float
    similarity_end: float
    comparison: Comparison
    orientation: Orientation = "none"

    def __repr__(self) -> str:
        start, end = self.similarity_start, self.similarity_end
        return f"ViewResult({self.name}, similarity {start:.3f} -> {end:.3f})"


@dataclass(frozen=True, kw_only=True, eq=False)
class RegistrationResult:
    """The answer of :func:`wsreg.register`.

    Args:
        camera_from_ct: [4,4] float64 rigid pose of the first body in the first view, LPS mm ->
            camera mm.
        start_camera_from_ct: [4,4] float64, where the refinement began (for ``search``, the
            named view that the search was centred on).
        camera: the first X-ray's geometry at full resolution.
        pivot_mm: [3] float64 centre of rotation in CT coordinates (LPS mm).
        verdict: pass, check or fail, with reasons.
        similarity_start, similarity_end: at the finest level, of the view where it is lowest; 1 is
            a perfect match.
        bodies: every body by its name, the first one as above.
        views: every X-ray.
        standard_deviation: [6] float64 in the order and units of ``POSE_AXES``, from the normal
            matrix at the answer and the tolerance of the calibration.
        iterations, renders: accepted-or-rejected solver steps, and images rendered.
        seconds: wall time by stage, with ``total``.
        backend: the renderer that ran.
        method: the solver that ran.
        init: how it was started: ``pose``, ``dicom`` or ``search``.
        config: every resolved setting, plain numbers and strings.
        trace: the way that led to the answer, where it was asked for.
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
    bodies: Mapping[str, BodyResult]
    views: tuple[ViewResult, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    trace: tuple[TraceStep, ...] = ()

    @property
    def comparison(self) -> Comparison:
        """Return the images of the first view."""
        return self.views[0].comparison

    def to_dict(self) -> dict[str, Any]:
        """Return what result.json says of it: plain lists and numbers, null for NaN."""
        from wsreg.registration.result_record import result_to_dict  # which needs these classes

        return result_to_dict(self)

    def __repr__(self) -> str:
        x, y, z = self.camera_from_ct[:3, 3].tolist()
        start, end = self.similarity_start, self.similarity_end
        named = ", ".join(self.bodies)
        return (
            f"RegistrationResult({self.verdict.status}: {' '.join(self.verdict.reasons)} "
            f"Similarity {start:.3f} -> {end:.3f}; translation ({x:.1f}, {y:.1f}, {z:.1f}) mm; "
            f"bodies {named}; views {', '.join(view.name for view in self.views)})"
        )

    def pose_in_view(self, view: int, body: str | None = None) -> Tensor:
        """Return [4,4] ``camera_from_ct`` of a body, by default the first, in a view by number."""
        pose = self.camera_from_ct if body is None else self.bodies[body].camera_from_ct
        first, other = self.views[0].camera_from_rig, self.views[view].camera_from_rig
        return other @ inverse_rigid(first) @ pose
