"""What a term of the loss is."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration.projection import Projection


class Term(Protocol):
    """A part of the loss of one view; ``reads_image`` tells whether it needs the rendered image."""

    reads_image: ClassVar[bool]

    def loss(self, projection: Projection) -> Tensor:
        """Return [B] losses of the states projected; differentiable to what it reads."""
        ...


@runtime_checkable
class LeastSquaresTerm(Term, Protocol):
    """A term that Gauss-Newton takes: half a sum of squares."""

    def linearize(self, projection: Projection) -> QuadraticModel:
        """Return the model of the loss of B states, projected with derivatives to P parameters."""
        ...
