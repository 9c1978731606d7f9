"""How far a pose may be off because the camera's calibration is: a share of the uncertainty.

No image tells a wrong calibration: the answer moves along with it and fits as well.  How far it
moves follows from the model at the answer.  With the calibration as further parameters of the image
the normal matrix has a block H_pp of the pose and one H_pc across; the best pose for a camera that
is changed by c lies at -H_pp^-1 H_pc c.

Distance and pixel spacing change an image in one and the same way, for a ray knows only their
ratio.  Three parameters are left: a fraction by which that ratio grows, and two shifts of the
principal point.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import inverse_rigid, skew, transform_points
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration.level import Level
from wsreg.registration.projection import Projection
from wsreg.registration.terms.image_term import LeastSquaresImageTerm, image_term
from wsreg.registration.verdict.deviation import covariance, inverse
from wsreg.registration.views import LevelView

CAUSES = ("source-to-detector distance", "pixel spacing", "principal point")
PARAMETERS = 3


@dataclass(frozen=True, kw_only=True)
class CalibrationTolerance:
    """How well a camera's geometry is known, one standard deviation each.

    The defaults are meant for a C-arm whose numbers come from its header: the distance is nominal
    and the arm bends, by a centimetre in a metre; the spacing is the detector's, with what is left
    of its distortion; the middle of the image stands in for the principal point, which wanders by
    millimetres as the arm turns.  A camera that was calibrated for the X-ray is known much better.

    Args:
        source_to_detector_mm: of the distance.
        pixel_spacing_fraction: of the pixel spacing, as a fraction of it.
        principal_point_mm: of the principal point, along rows and along columns, on the detector.

    Raises:
        InputError: a tolerance that is negative or not finite.
    """

    source_to_detector_mm: float = 10.0
    pixel_spacing_fraction: float = 0.005
    principal_point_mm: float = 2.0

    def __post_init__(self) -> None:
        values = (self.source_to_detector_mm, self.pixel_spacing_fraction, self.principal_point_mm)
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise InputError(f"calibration tolerances must be at least 0 and finite, got {values}")

    def of_parameters(self, camera: Camera) -> Tensor:
        """Return [3,3] float64: for each of ``CAUSES`` the deviations of the three parameters."""
        distance = self.source_to_detector_mm / camera.source_to_detector_mm
        row_mm, column_mm = camera.pixel_spacing_mm
        point = self.principal_point_mm
        rows = [
            [distance, 0.0, 0.0],
            [self.pixel_spacing_fraction, 0.0, 0.0],
            [0.0, point / column_mm, point / row_mm],
        ]
        return torch.tensor(rows, dtype=torch.float64)


def calibration_covariances(
    level: Level, shifts: Tensor, tolerance: CalibrationTolerance
) -> Tensor:
    """Return [3,P,P] float64 covariances of a state's parameters, one for each of ``CAUSES``.

    Each view's calibration errs by itself.

    Args:
        level: the finest level.
        shifts: [V,P,3] what :func:`calibration_shifts` returns.
        tolerance: of every view's camera.
    """
    covariances = torch.zeros((len(CAUSES), *[shifts.shape[1]] * 2), dtype=torch.float64)
    for view, shift in zip(level.views, shifts, strict=True):
        moved = shift * tolerance.of_parameters(view.camera)[:, None]
        covariances += moved @ moved.mT
    return covariances


def calibration_shifts(
    level: Level, state: Tensor, projections: Sequence[Projection]
) -> Tensor | None:
    """Return [V,P,3] float64, how a state's parameters follow each view's calibration.

    It is None where a view's measure has no model.

    Args:
        level: the finest level.
        state: [K,4,4] the answer.
        projections: of the answer (a batch of 1) with derivatives, one for each view.
    """
    models = _extended_models(level, state, projections)
    if models is None:
        return None
    inverted = inverse(_of_poses(level, state, models).normal_matrix[0])
    across = [model.normal_matrix[0, :-PARAMETERS, -PARAMETERS:] for model in models]
    return torch.stack([-inverted @ block for block in across])


@dataclass(frozen=True, kw_only=True, eq=False)
class JointStep:
    """A Gauss-Newton step in the parameters of a state and the distances of V views.

    Args:
        step: [P+V] float64: the state's parameters, and by which fraction each view's distance over
            spacing is to grow.
        deviations: [P+V] standard deviations of the same by the noise of the images.
    """

    step: Tensor
    deviations: Tensor


def joint_model(level: Level, state: Tensor, projections: Sequence[Projection]) -> JointStep | None:
    """Return the step of pose and distances together; None where a measure has no model."""
    models = _extended_models(level, state, projections)
    if models is None:
        return None
    poses = _of_poses(level, state, models)
    size, count = poses.gradient.shape[-1], len(models)
    gradient = torch.cat([poses.gradient[0], *(m.gradient[0, size, None] for m in models)])
    normal = torch.zeros((size + count,) * 2, dtype=torch.float64)
    normal[:size, :size] = poses.normal_matrix[0]
    for number, model in enumerate(models, start=size):
        normal[:size, number] = normal[number, :size] = model.normal_matrix[0, :size, size]
        normal[number, number] = model.normal_matrix[0, size, size]
    whole = QuadraticModel(
        value=poses.value[0] / count, gradient=gradient / count, normal_matrix=normal / count
    )
    valid_pixels = sum(float(view.mask.sum()) for view in level.views)
    variances = covariance(whole, valid_pixels).diagonal().clamp_min(0.0)
    return JointStep(step=-inverse(normal) @ gradient, deviations=variances.sqrt())


def _extended_models(
    level: Level, state: Tensor, projections: Sequence[Projection]
) -> list[QuadraticModel] | None:
    """Return each view's model in the state's parameters and the three of its calibration."""
    models = []
    for view, seen in zip(level.views, projections, strict=True):
        term = image_term(view.measure)
        if not isinstance(term, LeastSquaresImageTerm):
            return None
        slopes = calibration_jacobian(level, state, view, seen)
        extended = torch.cat((seen.image_jacobian, slopes), dim=-1)
        models.append(term.measure.linearize(seen.image, extended))
    return models


def _of_poses(level: Level, state: Tensor, models: Sequence[QuadraticModel]) -> QuadraticModel:
    """Return the sum of the views' models in the state's parameters alone, with its ties."""
    whole = functools.reduce(operator.add, models)
    poses = QuadraticModel(
        value=whole.value,
        gradient=whole.gradient[:, :-PARAMETERS],
        normal_matrix=whole.normal_matrix[:, :-PARAMETERS, :-PARAMETERS],
    )
    return poses if level.ties is None else level.ties.linearize(poses, state[None])


def calibration_jacobian(level: Level, state: Tensor, view: LevelView, seen: Projection) -> Tensor:
    """Return [1,H,W,3] how a view's image changes with its camera's calibration.

    The parameters are the fraction by which distance over spacing grows, and the shifts of the
    principal point along columns and along rows in pixels.

    Nothing is rendered.  A ray has the direction (x, y, 1).  As everything turns about the source
    by w, what is seen there moves over the image by (-x y, -1 - y y) w_x + (1 + x x, x y) w_y; the
    image's derivatives to w, which those to the state hold, so give its slopes along x and y.
    """
    about_x, about_y = _turned_about_source(level, state, view, seen)
    x, y, focal_px = _directions(view.camera)
    determinant = 1.0 + x.square() + y.square()
    along_x = -(x * y * about_x + (1.0 + y.square()) * about_y) / determinant
    along_y = ((1.0 + x.square()) * about_x + x * y * about_y) / determinant
    columns = (
        -(along_x * x + along_y * y), -along_x / focal_px[0], -along_y / focal_px[1],
    )  # fmt: skip
    return torch.stack(columns, dim=-1)


def _turned_about_source(
    level: Level, state: Tensor, view: LevelView, seen: Projection
) -> tuple[Tensor, Tensor]:
    """Return [1,H,W] derivatives as all bodies turn about the camera's x and about its y axis."""
    turns = view.camera_from_rig[:2, :3]  # the camera's x and y axes in the rig
    source = inverse_rigid(view.camera_from_rig)[:3, 3]
    motions = []
    for pose, body in zip(state, level.bodies, strict=True):
        arm = transform_points(pose, body.pivot_mm[None])[0] - source
        motions += [turns, -turns @ skew(arm).T]  # w x arm
    motion = torch.cat(motions, dim=1).to(seen.image_jacobian)
    about_x, about_y = (seen.image_jacobian @ motion.T).unbind(-1)
    return about_x, about_y


def _directions(camera: Camera) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """Return float32 x [W] and y [H,1] of each pixel's ray, and focal lengths in pixels."""
    matrix = camera.intrinsic_matrix
    focal_px = float(matrix[0, 0]), float(matrix[1, 1])
    column, row = camera.centre_px
    x = (torch.arange(camera.columns) - column) / focal_px[0]
    y = (torch.arange(camera.rows) - row) / focal_px[1]
    return x, y[:, None], focal_px
