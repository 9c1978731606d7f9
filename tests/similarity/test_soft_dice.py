"""Soft Dice: known values, what drops out, derivatives against autograd and central differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.similarity.soft_dice import linearize_each_dice, present, soft_dice

SIZE = 12
ALL = torch.ones(SIZE, SIZE, dtype=torch.bool)


def square(top: int, left: int, side: int) -> Tensor:
    mask = torch.zeros(SIZE, SIZE, dtype=torch.float64)
    mask[top : top + side, left : left + side] = 1.0
    return mask


@pytest.fixture(name="soft")
def _soft() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(target [3,H,W], probabilities [2,3,H,W], jacobian [2,3,H,W,6], mask [H,W]), float64."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    mask = ALL.clone()
    mask[:4, :5] = False
    return random(3, SIZE, SIZE), random(2, 3, SIZE, SIZE), random(2, 3, SIZE, SIZE, 6) - 0.4, mask


def test_hard_masks_have_the_usual_dice() -> None:
    target = torch.stack((square(0, 0, 4), square(0, 0, 4), square(0, 0, 4)))
    moving = torch.stack((square(0, 0, 4), square(0, 2, 4), square(6, 6, 4)))
    # The same square; half of it in common, 2 * 8 / (16 + 16); nothing in common.
    torch.testing.assert_close(
        soft_dice(target, moving, ALL), torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    )


def test_masked_pixels_do_not_count() -> None:
    target, moving = square(0, 0, 4)[None], square(0, 2, 4)[None]
    mask = ALL.clone()
    mask[:, 4:] = False
    # Left are 16 pixels of the target and 8 of the other, all of these in common.
    assert float(soft_dice(target, moving, mask)[0]) == pytest.approx(2 * 8 / 24)
    assert float(soft_dice(target, moving, mask[None])[0]) == pytest.approx(2 * 8 / 24)


def test_an_absent_region_is_not_present_and_nothing_is_ever_nan() -> None:
    nothing, something = torch.zeros(SIZE, SIZE, dtype=torch.float64), square(2, 2, 5)
    target = torch.stack((something, nothing, nothing))
    moving = torch.stack((square(2, 3, 5), something, nothing)).requires_grad_()
    dice = soft_dice(target, moving, ALL)
    assert dice.tolist() == pytest.approx([0.8, 0.0, 1.0])
    assert present(target, ALL).tolist() == [True, False, False]
    assert not bool(present(target, something == 0).any())
    (gradient,) = torch.autograd.grad(dice.sum(), moving)
    assert bool(torch.isfinite(gradient).all())
    assert not bool(gradient[1:].any())


def test_a_region_that_is_not_rendered_counts_in_full() -> None:
    target, nothing = square(2, 2, 5)[None], torch.zeros(1, SIZE, SIZE, dtype=torch.float64)
    jacobian = torch.zeros(1, SIZE, SIZE, 6, dtype=torch.float64)
    here = linearize_each_dice(target, nothing, jacobian, ALL)
    assert float(here.value) == 1.0
    assert bool(here.is_finite())
    assert not bool(here.gradient.any())


def test_two_empty_masks_linearise_to_zero() -> None:
    nothing = torch.zeros(2, SIZE, SIZE)
    here = linearize_each_dice(nothing, nothing, torch.zeros(2, SIZE, SIZE, 6), ALL)
    assert here.value.tolist() == [0.0, 0.0]
    assert not bool(here.gradient.any() or here.normal_matrix.any())


def test_only_what_reaches_one_half_is_present() -> None:
    target = torch.stack((0.4 * square(0, 0, 4), 0.5 * square(0, 0, 4)))
    assert present(target, ALL).tolist() == [False, True]


def test_the_gradient_is_that_of_central_differences(soft: tuple[Tensor, ...]) -> None:
    target, moving, jacobian, mask = soft
    here = linearize_each_dice(target, moving, jacobian, mask)
    torch.testing.assert_close(here.value, 1.0 - soft_dice(target, moving, mask))
    step = 1e-6 * torch.eye(6, dtype=torch.float64)
    for axis in range(6):
        ahead = soft_dice(target, moving + jacobian @ step[axis], mask)
        behind = soft_dice(target, moving - jacobian @ step[axis], mask)
        torch.testing.assert_close(
            here.gradient[..., axis], (behind - ahead) / 2e-6, rtol=1e-6, atol=1e-9
        )


def test_the_normal_matrix_is_that_of_the_residual(soft: tuple[Tensor, ...]) -> None:
    target, moving, jacobian, mask = soft
    here = linearize_each_dice(target, moving, jacobian, mask)
    zero = torch.zeros(6, dtype=torch.float64)
    for pose, roi in ((0, 0), (1, 2)):

        def residual(step: Tensor, pose: int = pose, roi: int = roi) -> Tensor:
            p = (moving[pose, roi] + jacobian[pose, roi] @ step)[mask]
            m = target[roi][mask]
            return (m - p) * (2.0 / (m.square().sum() + p.square().sum())).sqrt()

        r = residual(zero)
        j = torch.autograd.functional.jacobian(residual, zero)
        torch.testing.assert_close(here.value[pose, roi], 0.5 * r @ r)
        torch.testing.assert_close(here.gradient[pose, roi], j.T @ r)
        torch.testing.assert_close(here.normal_matrix[pose, roi], j.T @ j)


def test_bad_arguments_are_named() -> None:
    target = torch.zeros(2, SIZE, SIZE)
    with pytest.raises(InputError, match=r"probabilities must be \[...,R,H,W\].*got \[3, 12, 12\]"):
        soft_dice(target, torch.zeros(3, SIZE, SIZE), ALL)
    with pytest.raises(InputError, match=r"mask must have the target's H,W \[12, 12\], got \[5, 5"):
        soft_dice(target, target, torch.ones(5, 5))
