"""What a similarity measure is: settings that prepare a fixed image, and what is then compared.

A measure is one file beside this one with a frozen dataclass of settings, and one line in
:mod:`wsreg.similarity.measures`.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel


class PreparedMeasure(Protocol):
    """A fixed image, ready to be compared with moving images of the same size."""

    def loss(self, moving: Tensor) -> Tensor:
        """Return [B] losses of moving images [B,H,W], least for a perfect match; differentiable."""
        ...

    def similarity(self, moving: Tensor) -> Tensor:
        """Return [B] similarities of moving images [B,H,W] for people: 1 is a perfect match."""
        ...


@runtime_checkable
class LeastSquaresMeasure(PreparedMeasure, Protocol):
    """A prepared measure that is half a sum of squares, so that Gauss-Newton applies."""

    def linearize(self, moving: Tensor, jacobian: Tensor) -> QuadraticModel:
        """Return the model of the loss of moving images [B,H,W] with jacobian [B,H,W,P]."""
        ...


class Measure(Protocol):
    """Settings of a similarity measure.

    ``least_squares`` tells whether what it prepares is a :class:`LeastSquaresMeasure`.
    """

    name: ClassVar[str]
    least_squares: ClassVar[bool]

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedMeasure:
        """Prepare a fixed image [H,W] under a mask [H,W] of valid pixels.

        Raises:
            InputError: for a mask that does not fit or is empty, or an image that is too small.
        """
        ...
