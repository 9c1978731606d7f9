"""Descents on toy problems, without a renderer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from wsreg.registration.levenberg_marquardt import LevenbergMarquardtConfig, minimise
from wsreg.similarity.linearization import Linearization

from wsreg.geometry.rigid import perturb, transform_points

PIVOT = torch.zeros(3, dtype=torch.float64)
POINTS = 50.0 * torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def poses_at(*steps: list[float]) -> Tensor:
    start = torch.eye(4, dtype=torch.float64)
    start[2, 3] = 700.0
    return perturb(start.expand(len(steps), 4, 4), torch.tensor(steps, dtype=torch.float64), PIVOT)


TARGET = poses_at([0.1, -0.2, 0.15, 5.0, -8.0, 20.0])[0]


def move(poses: Tensor, steps: Tensor) -> Tensor:
    return perturb(poses, steps, PIVOT)


def projected(poses: Tensor) -> Tensor:
    moved = transform_points(poses, POINTS)
    return (1000.0 * moved[..., :2] / moved[..., 2:]).flatten(-2)


def linearize(poses: Tensor) -> Linearization:
    """Half the squared distance of projected points: depth is seen weakly, as in X-rays."""
    residual = projected(poses) - projected(TARGET)
    jacobian = torch.stack(
        [
            torch.autograd.functional.jacobian(
                lambda step, pose=pose: projected(perturb(pose, step, PIVOT)),
                torch.zeros(6, dtype=torch.float64),
            )
            for pose in poses
        ]
    )
    return Linearization(
        value=0.5 * residual.square().sum(dim=-1),
        gradient=(jacobian.mT @ residual[..., None])[..., 0],
        normal_matrix=jacobian.mT @ jacobian,
    )


STARTS = poses_at([0.0] * 6, [0.3, 0.1, -0.2, 30.0, 20.0, -60.0], [0.1, 0, 0, 0, 0, 100.0])


def test_it_finds_the_pose_and_its_weakly_seen_depth() -> None:
    found = minimise(linearize, move, STARTS, LevenbergMarquardtConfig(max_iterations=60))
    assert bool(found.converged.all())
    torch.testing.assert_close(found.camera_from_ct, TARGET.expand(3, 4, 4), atol=1e-3, rtol=1e-5)


def test_a_batch_ends_where_its_members_end() -> None:
    config = LevenbergMarquardtConfig()
    batch = minimise(linearize, move, STARTS, config)
    alone = [minimise(linearize, move, start[None], config) for start in STARTS]
    torch.testing.assert_close(
        batch.camera_from_ct, torch.cat([one.camera_from_ct for one in alone])
    )
    assert batch.evaluations == sum(one.evaluations for one in alone)


def test_it_never_ends_worse_than_it_began() -> None:
    generator = torch.Generator().manual_seed(1)

    def misleading(poses: Tensor) -> Linearization:
        honest = linearize(poses)
        noise = torch.randn(honest.gradient.shape, generator=generator, dtype=torch.float64)
        return Linearization(
            value=honest.value,
            gradient=honest.gradient.norm() * noise,
            normal_matrix=honest.normal_matrix,
        )

    found = minimise(misleading, move, STARTS, LevenbergMarquardtConfig())
    assert bool((found.values <= linearize(STARTS).value).all())


def test_no_step_is_longer_than_allowed() -> None:
    config = LevenbergMarquardtConfig(max_iterations=1, max_shift_mm=2.0, damping=1e-6)
    start = poses_at([0.1, -0.2, 0.15, 60.0, -8.0, 20.0])
    found = minimise(linearize, move, start, config)
    shift = (found.camera_from_ct - start)[0, :2, 3].abs().max()
    assert float(shift) == pytest.approx(2.0, rel=1e-6)


def test_a_loss_that_is_not_finite_is_left_alone() -> None:
    def broken(poses: Tensor) -> Linearization:
        honest = linearize(poses)
        value = honest.value.clone()
        value[poses[:, 2, 3] > 750.0] = torch.nan
        return Linearization(
            value=value, gradient=honest.gradient, normal_matrix=honest.normal_matrix
        )

    found = minimise(broken, move, STARTS, LevenbergMarquardtConfig())
    assert torch.equal(found.camera_from_ct[2], STARTS[2])
    assert float(found.values[2]) == float("inf")
    assert found.converged.tolist()[:2] == [True, True]


def test_iterations_are_limited() -> None:
    found = minimise(linearize, move, STARTS, LevenbergMarquardtConfig(max_iterations=2))
    assert found.iterations == 6
    assert found.evaluations == 9
    assert not bool(found.converged.any())
