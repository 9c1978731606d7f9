"""How alike the X-ray and the rendered image are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration.projection import Projection
from wsreg.similarity.measure import LeastSquaresMeasure, PreparedMeasure


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageTerm:
    """The loss of a similarity measure, prepared for the view's X-ray."""

    reads_image: ClassVar[bool] = True

    measure: PreparedMeasure

    def loss(self, projection: Projection) -> Tensor:
        """Return [B] losses of the measure."""
        return self.measure.loss(projection.image)


@dataclass(frozen=True, kw_only=True, eq=False)
class LeastSquaresImageTerm(ImageTerm):
    """The same, of a measure that Gauss-Newton takes."""

    measure: LeastSquaresMeasure

    def linearize(self, projection: Projection) -> QuadraticModel:
        """Return the model of the measure's loss."""
        return self.measure.linearize(projection.image, projection.image_jacobian)


def image_term(measure: PreparedMeasure) -> ImageTerm:
    """Return the term of a prepared measure, with a model if the measure has one."""
    if isinstance(measure, LeastSquaresMeasure):
        return LeastSquaresImageTerm(measure=measure)
    return ImageTerm(measure=measure)
