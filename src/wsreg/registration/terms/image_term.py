"""How alike the X-ray and the rendered image are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from wsreg.errors import InputError
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

    def linearize(self, projection: Projection) -> QuadraticModel:
        """Return the model of the measure's loss.

        Raises:
            InputError: the measure has no least-squares form.
        """
        if not isinstance(self.measure, LeastSquaresMeasure):
            raise InputError(
                f"measure must have a least-squares form, {type(self.measure).__name__} has none"
            )
        return self.measure.linearize(projection.image, projection.image_jacobian)
