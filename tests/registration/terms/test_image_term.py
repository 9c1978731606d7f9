"""The term of a similarity measure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.registration.projection import Projection
from wsreg.registration.terms.image_term import LeastSquaresImageTerm, image_term
from wsreg.registration.terms.term import LeastSquaresTerm
from wsreg.similarity.ncc import LocalNcc


@pytest.fixture(name="seen", scope="module")
def _seen() -> Projection:
    generator = torch.Generator().manual_seed(0)
    nothing = torch.empty(0)
    return Projection(
        image=torch.rand(2, 12, 14, generator=generator),
        image_jacobian=torch.rand(2, 12, 14, 6, generator=generator),
        roi_lengths_mm=nothing,
        roi_jacobian=nothing,
    )


def test_it_is_the_measures_loss_and_model_of_the_image(seen: Projection) -> None:
    fixed = torch.rand(12, 14, generator=torch.Generator().manual_seed(1))
    measure = LocalNcc(windows_px=(5,)).prepare(fixed, torch.ones(12, 14, dtype=torch.bool))
    term = image_term(measure)
    assert isinstance(term, LeastSquaresImageTerm)
    assert term.reads_image
    assert torch.equal(term.loss(seen), measure.loss(seen.image))
    model, expected = term.linearize(seen), measure.linearize(seen.image, seen.image_jacobian)
    assert torch.equal(model.gradient, expected.gradient)
    assert torch.equal(model.normal_matrix, expected.normal_matrix)


class Difference:
    """A measure that has a gradient only."""

    def loss(self, moving: Tensor) -> Tensor:
        return moving.abs().mean(dim=(-2, -1))

    def similarity(self, moving: Tensor) -> Tensor:
        return 1.0 - self.loss(moving)


def test_a_measure_without_least_squares_has_a_loss_only(seen: Projection) -> None:
    term = image_term(Difference())
    torch.testing.assert_close(term.loss(seen), seen.image.mean(dim=(1, 2)))
    assert not isinstance(term, LeastSquaresTerm)
