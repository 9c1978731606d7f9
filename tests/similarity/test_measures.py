"""What holds for every measure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.similarity.measure import LeastSquaresMeasure, Measure
from wsreg.similarity.measures import MEASURES, least_squares_names
from wsreg.similarity.ncc import GlobalNcc, LocalNcc, MultiscaleNcc

SHAPE = (24, 30)


@pytest.fixture(name="images", scope="module", params=[torch.float32, torch.float64])
def _images(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(fixed [H,W], moving [2,H,W], jacobian [2,H,W,3], mask [H,W])."""
    generator = torch.Generator().manual_seed(0)
    fixed, *moving = torch.rand(3, *SHAPE, generator=generator).to(request.param)
    jacobian = torch.rand(2, *SHAPE, 3, generator=generator).to(request.param) - 0.5
    mask = torch.ones(SHAPE, dtype=torch.bool)
    mask[:, :5] = False
    return fixed, torch.stack(moving) + fixed, jacobian, mask


def test_the_table_has_every_measure_by_its_own_name() -> None:
    assert dict(MEASURES) == {
        "global-ncc": GlobalNcc, "local-ncc": LocalNcc, "multiscale-ncc": MultiscaleNcc,
    }  # fmt: skip
    assert all(measure.name == name for name, measure in MEASURES.items())
    assert least_squares_names() == ("global-ncc", "local-ncc", "multiscale-ncc")


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_perfect_match_has_similarity_one_and_nothing_to_gain(
    measure: type[Measure], images: tuple[Tensor, ...]
) -> None:
    fixed, moving, jacobian, mask = images
    prepared = measure().prepare(fixed, mask)
    both = torch.stack((2.5 * fixed + 4.0, moving[0]))
    similarity, loss = prepared.similarity(both), prepared.loss(both)
    assert similarity.shape == loss.shape == (2,)
    assert float(similarity[0]) == pytest.approx(1.0, abs=1e-5)
    assert float(loss[0]) == pytest.approx(0.0, abs=1e-5)
    assert float(similarity[1]) < 0.95
    assert float(loss[1]) > 0.03
    assert measure.least_squares == isinstance(prepared, LeastSquaresMeasure)
    if isinstance(prepared, LeastSquaresMeasure):
        model = prepared.linearize(both, jacobian)
        assert float(model.gradient[0].abs().max()) < 1e-4
        assert float(model.gradient[1].abs().max()) > 1e-3


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_loss_is_differentiable_and_its_model_agrees(
    measure: type[Measure], images: tuple[Tensor, ...]
) -> None:
    fixed, moving, jacobian, mask = images
    prepared = measure().prepare(fixed, mask)
    step = torch.zeros(3, dtype=fixed.dtype, requires_grad=True)
    loss = prepared.loss(moving + jacobian @ step)
    (gradient,) = torch.autograd.grad(loss.sum(), step)
    assert bool((gradient.abs() > 1e-4).any())
    if isinstance(prepared, LeastSquaresMeasure):
        model = prepared.linearize(moving, jacobian)
        assert model.gradient.dtype == torch.float64
        torch.testing.assert_close(
            model.gradient.sum(dim=0), gradient.double(), atol=2e-5, rtol=1e-4
        )
        torch.testing.assert_close(model.value, loss.detach().double(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_mask_that_does_not_fit_is_refused(measure: type[Measure]) -> None:
    image = torch.rand(SHAPE)
    with pytest.raises(InputError, match="mask must have the image's shape"):
        measure().prepare(image, torch.ones(3, 3, dtype=torch.bool))
    with pytest.raises(InputError, match="mask must leave some pixels"):
        measure().prepare(image, torch.zeros(SHAPE, dtype=torch.bool))
