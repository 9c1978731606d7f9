from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.rigid import exp_se3, inverse_rigid, log_se3
from wsreg.registration.sequence.smoothing import mean_pose, smoothed_poses


def poses_of(twists: Tensor) -> list[Tensor]:
    return list(exp_se3(twists.double()))


def test_shifts_are_averaged_by_a_gaussian() -> None:
    twists = torch.zeros(5, 6)
    twists[2, 3] = 1.0
    smooth = smoothed_poses(poses_of(twists), 1.0)
    weights = torch.exp(-0.5 * (torch.arange(5.0) - 2).square())
    assert smooth[2] is not None
    assert smooth[0] is not None
    assert float(smooth[2][0, 3]) == pytest.approx(float(1.0 / weights.sum()))
    # the first frame has neighbours on one side only
    assert float(smooth[0][0, 3]) == pytest.approx(
        float(weights[0] / torch.exp(-0.5 * torch.arange(4.0).square()).sum())
    )


def test_a_movement_at_a_constant_rate_stays_as_it_is() -> None:
    rate = torch.tensor([0.01, -0.02, 0.015, 1.0, 2.0, -3.0])
    poses = poses_of(torch.arange(9.0)[:, None].double() * rate.double())
    smooth = smoothed_poses(poses, 1.0)
    for number in range(3, 6):
        torch.testing.assert_close(smooth[number], poses[number], atol=1e-9, rtol=0)


def test_lost_frames_stay_lost_and_take_no_part() -> None:
    poses: list[Tensor | None] = [*poses_of(torch.zeros(4, 6))]
    poses[1] = None
    smooth = smoothed_poses(poses, 2.0)
    assert smooth[1] is None
    assert all(one is not None for number, one in enumerate(smooth) if number != 1)
    assert smoothed_poses([None, None], 1.0) == [None, None]


def test_the_mean_does_not_depend_on_the_frames_of_reference() -> None:
    generator = torch.Generator().manual_seed(0)
    twists = torch.randn((5, 6), generator=generator) * torch.tensor([0.2] * 3 + [20.0] * 3)
    poses = exp_se3(twists.double())
    weights = torch.tensor([1.0, 2.0, 1.0, 0.5, 3.0], dtype=torch.float64)
    mean = mean_pose(poses, weights, poses[0])
    residual = weights @ log_se3(inverse_rigid(mean) @ poses)
    torch.testing.assert_close(residual, torch.zeros(6).double(), atol=1e-6, rtol=0)
    before, after = exp_se3(torch.tensor([[0.5, 1, 0.2, 9, 0, 1], [1, 0, 2, 5, 6, 7.0]]).double())
    moved = mean_pose(before @ poses @ after, weights, before @ poses[1] @ after)
    torch.testing.assert_close(moved, before @ mean @ after, atol=1e-5, rtol=0)


@pytest.mark.parametrize("deviation", [0.0, -1.0, float("nan")])
def test_a_deviation_that_is_not_positive_is_refused(deviation: float) -> None:
    with pytest.raises(InputError, match="deviation_frames must be positive"):
        smoothed_poses([torch.eye(4).double()], deviation)
