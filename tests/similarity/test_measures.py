"""What holds for every measure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.similarity.gradient_ncc import GradientNcc
from wsreg.similarity.mae import Mae
from wsreg.similarity.measure import LeastSquaresMeasure, Measure
from wsreg.similarity.measures import MEASURES, least_squares_names
from wsreg.similarity.mse import Mse
from wsreg.similarity.mutual_information import MutualInformation
from wsreg.similarity.ncc import GlobalNcc, LocalNcc, MultiscaleNcc
from wsreg.similarity.psnr import Psnr
from wsreg.similarity.ssim import Ssim

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
        "gradient-ncc": GradientNcc, "mse": Mse, "mae": Mae, "psnr": Psnr, "ssim": Ssim,
        "mutual-information": MutualInformation,
    }  # fmt: skip
    assert all(measure.name == name for name, measure in MEASURES.items())
    assert least_squares_names() == (
        "global-ncc", "local-ncc", "multiscale-ncc", "gradient-ncc", "mse", "mae", "psnr",
    )  # fmt: skip


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
    assert float(similarity[1]) < 0.98
    assert float(loss[1]) > 0.02
    assert measure.least_squares == isinstance(prepared, LeastSquaresMeasure)
    if isinstance(prepared, LeastSquaresMeasure):
        model = prepared.linearize(both, jacobian)
        steps = torch.linalg.solve(model.normal_matrix, model.gradient)
        assert float(steps[0].abs().max()) < 1e-5
        assert float(steps[1].abs().max()) > 1e-2


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_perfect_match_pulls_nowhere(measure: type[Measure], images: tuple[Tensor, ...]) -> None:
    """Also through autograd, which Adam goes by; a hundredth of a step away it does pull."""
    fixed, _, jacobian, mask = images
    prepared = measure().prepare(fixed, mask)
    step = torch.zeros(3, dtype=fixed.dtype, requires_grad=True)
    gradients = [
        torch.autograd.grad(prepared.loss(moving[None] + jacobian[:1] @ step).sum(), step)[0]
        for moving in (fixed, fixed + 0.01 * jacobian[0, ..., 0])
    ]
    assert float(gradients[0].abs().max()) < (1e-6 if fixed.dtype == torch.float64 else 2e-5)
    assert float(gradients[1][0]) > 1e-4


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
def test_a_gradient_is_that_of_central_differences(measure: type[Measure]) -> None:
    generator = torch.Generator().manual_seed(1)
    fixed, moving = torch.rand(2, *SHAPE, generator=generator, dtype=torch.float64)
    jacobian = torch.rand(*SHAPE, 3, generator=generator, dtype=torch.float64) - 0.5
    mask = torch.ones(SHAPE, dtype=torch.bool)
    mask[:, :5] = False
    prepared = measure().prepare(fixed, mask)
    step = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(prepared.loss((moving + jacobian @ step)[None]).sum(), step)
    for axis, small in enumerate(1e-6 * torch.eye(3, dtype=torch.float64)):
        ahead, behind = prepared.loss(torch.stack([moving + s * jacobian @ small for s in (1, -1)]))
        expected = float(ahead - behind) / 2e-6
        assert float(gradient[axis]) == pytest.approx(expected, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_gain_and_offset_of_either_image_do_not_matter(
    measure: type[Measure], images: tuple[Tensor, ...]
) -> None:
    fixed, moving, jacobian, mask = images
    plain, other = (measure().prepare(image, mask) for image in (fixed, 0.1 * fixed + 2.0))
    rescaled = 30.0 * moving - 5.0
    torch.testing.assert_close(other.loss(rescaled), plain.loss(moving), atol=1e-5, rtol=1e-4)
    if isinstance(plain, LeastSquaresMeasure) and isinstance(other, LeastSquaresMeasure):
        a, b = plain.linearize(moving, jacobian), other.linearize(rescaled, 30.0 * jacobian)
        torch.testing.assert_close(a.gradient, b.gradient, atol=2e-5, rtol=1e-3)
        torch.testing.assert_close(a.normal_matrix, b.normal_matrix, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_negative_is_no_match_but_for_mutual_information(
    measure: type[Measure], images: tuple[Tensor, ...]
) -> None:
    fixed, _, _, mask = images
    prepared = measure().prepare(fixed, mask)
    loss = float(prepared.loss(-fixed[None]))
    if measure is MutualInformation:
        assert loss == pytest.approx(0.0, abs=1e-5)
    else:
        assert loss > 0.1


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_what_is_masked_has_no_influence(
    measure: type[Measure], images: tuple[Tensor, ...]
) -> None:
    fixed, moving, jacobian, mask = images
    plain = measure().prepare(fixed, mask)
    other = measure().prepare(torch.where(mask, fixed, 7.0), mask)
    spoilt = torch.where(mask, moving, -5.0)
    torch.testing.assert_close(other.loss(spoilt), plain.loss(moving), atol=1e-5, rtol=1e-4)
    if isinstance(plain, LeastSquaresMeasure) and isinstance(other, LeastSquaresMeasure):
        a = plain.linearize(moving, jacobian)
        b = other.linearize(spoilt, torch.where(mask[..., None], jacobian, 9.0))
        torch.testing.assert_close(a.gradient, b.gradient, atol=2e-5, rtol=1e-3)
        torch.testing.assert_close(a.normal_matrix, b.normal_matrix, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_batch_is_its_members_and_one_that_is_not_finite_spoils_itself_only(
    measure: type[Measure], images: tuple[Tensor, ...]
) -> None:
    fixed, moving, jacobian, mask = images
    prepared = measure().prepare(fixed, mask)
    bad = moving.clone()
    bad[1, 12, 15] = torch.nan
    losses, alone = prepared.loss(bad), prepared.loss(moving[:1])
    assert torch.isfinite(losses).tolist() == [True, False]
    torch.testing.assert_close(losses[0], alone[0])
    torch.testing.assert_close(prepared.loss(moving)[0], alone[0])
    if isinstance(prepared, LeastSquaresMeasure):
        models = [
            prepared.linearize(some, slopes)
            for some, slopes in ((bad, jacobian), (moving, jacobian), (moving[:1], jacobian[:1]))
        ]
        assert models[0].is_finite().tolist() == [True, False]
        for model in models[:2]:
            torch.testing.assert_close(model[0].gradient, models[2][0].gradient)
            torch.testing.assert_close(model[0].normal_matrix, models[2][0].normal_matrix)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_an_image_that_shows_nothing_is_no_match(measure: type[Measure]) -> None:
    """As of a pose out of sight: flat, and it does not change with the pose."""
    fixed, mask = torch.rand(SHAPE), torch.ones(SHAPE, dtype=torch.bool)
    prepared, flat = measure().prepare(fixed, mask), torch.zeros(1, *SHAPE)
    assert float(prepared.loss(flat)) > 0.1
    if isinstance(prepared, LeastSquaresMeasure):
        model = prepared.linearize(flat, torch.zeros(1, *SHAPE, 3))
        assert float(model.value) == pytest.approx(float(prepared.loss(flat)), rel=1e-4)
        assert not bool(model.gradient.any())


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_mask_that_does_not_fit_is_refused(measure: type[Measure]) -> None:
    image = torch.rand(SHAPE)
    with pytest.raises(InputError, match="mask must have the image's shape"):
        measure().prepare(image, torch.ones(3, 3, dtype=torch.bool))
    with pytest.raises(InputError, match="mask must leave some pixels"):
        measure().prepare(image, torch.zeros(SHAPE, dtype=torch.bool))
