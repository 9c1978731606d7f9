"""Descents on toy problems, without a renderer: plain vectors, and a pose seen by its points."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from wsreg.geometry.rigid import perturb, transform_points
from wsreg.optimisation.levenberg_marquardt import LevenbergMarquardtConfig, minimise
from wsreg.optimisation.observed import Observed
from wsreg.optimisation.quadratic_model import QuadraticModel

PIVOT = torch.zeros(3, dtype=torch.float64)
POINTS = 50.0 * torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LONGEST = torch.tensor([0.12, 0.12, 0.12, 25.0, 25.0, 60.0], dtype=torch.float64)
CONFIG = LevenbergMarquardtConfig()

Residual = Callable[[Tensor], Tensor]


def poses_at(*steps: list[float]) -> Tensor:
    start = torch.eye(4, dtype=torch.float64)
    start[2, 3] = 700.0
    return perturb(start.expand(len(steps), 4, 4), torch.tensor(steps, dtype=torch.float64), PIVOT)


TARGET = poses_at([0.1, -0.2, 0.15, 5.0, -8.0, 20.0])[0]
STARTS = poses_at([0.0] * 6, [0.3, 0.1, -0.2, 30.0, 20.0, -60.0], [0.1, 0, 0, 0, 0, 100.0])


def move(poses: Tensor, steps: Tensor) -> Tensor:
    return perturb(poses, steps, PIVOT)


def projected(poses: Tensor) -> Tensor:
    moved = transform_points(poses, POINTS)
    return (1000.0 * moved[..., :2] / moved[..., 2:]).flatten(-2)


def linearize(poses: Tensor) -> QuadraticModel:
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
    return QuadraticModel(
        value=0.5 * residual.square().sum(dim=-1),
        gradient=(jacobian.mT @ residual[..., None])[..., 0],
        normal_matrix=jacobian.mT @ jacobian,
    )


def test_it_finds_the_pose_and_its_weakly_seen_depth() -> None:
    config = LevenbergMarquardtConfig(max_iterations=60)
    found = minimise(linearize, move, STARTS, LONGEST, config)
    assert bool(found.converged.all())
    torch.testing.assert_close(found.states, TARGET.expand(3, 4, 4), atol=1e-3, rtol=1e-5)


def test_a_batch_ends_where_its_members_end() -> None:
    batch = minimise(linearize, move, STARTS, LONGEST, CONFIG)
    alone = [minimise(linearize, move, start[None], LONGEST, CONFIG) for start in STARTS]
    torch.testing.assert_close(batch.states, torch.cat([one.states for one in alone]))
    assert batch.evaluations == sum(one.evaluations for one in alone)


def test_it_never_ends_worse_than_it_began() -> None:
    generator = torch.Generator().manual_seed(1)

    def misleading(poses: Tensor) -> QuadraticModel:
        honest = linearize(poses)
        noise = torch.randn(honest.gradient.shape, generator=generator, dtype=torch.float64)
        return QuadraticModel(
            value=honest.value,
            gradient=honest.gradient.norm() * noise,
            normal_matrix=honest.normal_matrix,
        )

    found = minimise(misleading, move, STARTS, LONGEST, CONFIG)
    assert bool((found.values <= linearize(STARTS).value).all())
    # The model handed back is of the state handed back.
    torch.testing.assert_close(found.values, linearize(found.states).value)


def test_no_step_is_longer_than_allowed() -> None:
    config = LevenbergMarquardtConfig(max_iterations=1, damping=1e-6)
    longest = LONGEST.clone()
    longest[3:5] = 2.0
    start = poses_at([0.1, -0.2, 0.15, 60.0, -8.0, 20.0])
    found = minimise(linearize, move, start, longest, config)
    shift = (found.states - start)[0, :2, 3].abs().max()
    assert float(shift) == pytest.approx(2.0, rel=1e-6)


def test_a_loss_that_is_not_finite_is_left_alone() -> None:
    def broken(poses: Tensor) -> QuadraticModel:
        honest = linearize(poses)
        value = honest.value.clone()
        value[poses[:, 2, 3] > 750.0] = torch.nan
        return QuadraticModel(
            value=value, gradient=honest.gradient, normal_matrix=honest.normal_matrix
        )

    found = minimise(broken, move, STARTS, LONGEST, CONFIG)
    assert torch.equal(found.states[2], STARTS[2])
    assert float(found.values[2]) == float("inf")
    assert found.converged.tolist() == [True, True, False]


def test_iterations_are_limited() -> None:
    config = LevenbergMarquardtConfig(max_iterations=2)
    found = minimise(linearize, move, STARTS, LONGEST, config)
    assert found.iterations == 6
    assert found.evaluations == 9
    assert not bool(found.converged.any())


def plain(residual: Residual) -> Callable[[Tensor], QuadraticModel]:
    """The model of half the squared residual of plain vectors [B,P]."""

    def linearize_vectors(vectors: Tensor) -> QuadraticModel:
        r = residual(vectors)
        jacobian = torch.stack(
            [torch.autograd.functional.jacobian(residual, vector) for vector in vectors]
        )
        return QuadraticModel(
            value=0.5 * r.square().sum(dim=-1),
            gradient=(jacobian.mT @ r[..., None])[..., 0],
            normal_matrix=jacobian.mT @ jacobian,
        )

    return linearize_vectors


TIMES = torch.linspace(0.0, 4.0, 15, dtype=torch.float64)
DECAY = torch.tensor([3.0, 0.7, 0.5], dtype=torch.float64)
MIXED = torch.randn(20, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
TWELVE = torch.linspace(-1.0, 1.0, 12, dtype=torch.float64)


def decay(vectors: Tensor) -> Tensor:
    """Height, rate and offset of an exponential decay."""
    height, rate, offset = (part[..., None] for part in vectors.unbind(-1))
    return height * torch.exp(-rate * TIMES) + offset


def mixed(vectors: Tensor) -> Tensor:
    return (vectors + 0.1 * vectors**3) @ MIXED.T


@pytest.mark.parametrize(("seen", "truth"), [(decay, DECAY), (mixed, TWELVE)])
def test_a_state_may_be_a_plain_vector_of_any_length(seen: Residual, truth: Tensor) -> None:
    spread = torch.linspace(-0.4, 0.4, 3, dtype=torch.float64)[:, None]
    starts = truth + spread * torch.ones(len(truth), dtype=torch.float64)
    found = minimise(
        plain(lambda vectors: seen(vectors) - seen(truth)), torch.add, starts,
        torch.full((len(truth),), 0.5, dtype=torch.float64),
        LevenbergMarquardtConfig(max_iterations=60),
    )  # fmt: skip
    assert bool(found.converged.all())
    torch.testing.assert_close(found.states, truth.expand(3, -1), atol=1e-5, rtol=0)
    assert found.model.gradient.shape == (3, len(truth))


def test_a_parameter_that_nothing_sees_stays() -> None:
    def first_only(vectors: Tensor) -> Tensor:
        return vectors[..., :1] - 2.0

    start = torch.tensor([[0.0, 7.0]], dtype=torch.float64)
    longest = torch.ones(2, dtype=torch.float64)
    found = minimise(plain(first_only), torch.add, start, longest, CONFIG)
    assert found.states[0].tolist() == pytest.approx([2.0, 7.0], abs=1e-3)


def creeping(vectors: Tensor) -> QuadraticModel:
    """A model whose second parameter always promises a long step, of next to no gain."""
    return QuadraticModel(
        value=vectors[:, 0].square() / 2 + 1.0 - 1e-8 * vectors[:, 1],
        gradient=torch.stack((vectors[:, 0], torch.full_like(vectors[:, 1], -1e-8)), dim=-1),
        normal_matrix=torch.diag(torch.tensor([1.0, 1e-7], dtype=torch.float64)).repeat(
            len(vectors), 1, 1
        ),
    )


def test_a_loose_parameter_does_not_keep_a_descent_going() -> None:
    """Each step moves the second by a tenth of its longest, and promises 1e-9 of the loss."""
    start = torch.tensor([[0.5, 0.0]], dtype=torch.float64)
    longest = torch.ones(2, dtype=torch.float64)
    config = LevenbergMarquardtConfig(max_iterations=12)
    strict = minimise(creeping, torch.add, start, longest, config)
    assert strict.converged.tolist() == [False]
    assert strict.iterations == 12
    loose = torch.tensor([1.0, 200.0], dtype=torch.float64)
    found = minimise(creeping, torch.add, start, longest, config, loose)
    assert found.converged.tolist() == [True]
    assert found.iterations < 6
    assert abs(float(found.states[0, 0])) < 1e-3
    # The other parameter is waited for as strictly as before.
    other = minimise(creeping, torch.add, start, longest, config, loose.flip(0))
    assert other.converged.tolist() == [False]


def rough(vectors: Tensor) -> QuadraticModel:
    """A loss of 1 everywhere, and a slope that promises 2e-5 of it for a step of a hundredth."""
    count, curvature = len(vectors), 0.4
    return QuadraticModel(
        value=torch.ones(count, dtype=torch.float64),
        gradient=torch.full((count, 1), 0.01 * curvature, dtype=torch.float64),
        normal_matrix=torch.full((count, 1, 1), curvature, dtype=torch.float64),
    )


def test_a_negligible_step_that_does_not_improve_ends_a_descent() -> None:
    """Once it was refused, what is left is the loss's own roughness: no damping by and by."""
    longest, start = torch.ones(1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    found = minimise(rough, torch.add, start, longest, CONFIG)
    assert found.converged.tolist() == [True]
    assert found.iterations == 1
    assert torch.equal(found.states, start)


def test_a_refused_step_that_promised_much_is_tried_shorter() -> None:
    """The loss rises for steps above a tenth, and the model promises much."""

    def valley(vectors: Tensor) -> QuadraticModel:
        x = vectors[:, 0]
        return QuadraticModel(
            value=1.0 - 0.1 * x + 2.0 * x.square(),
            gradient=(-0.1 + 4.0 * x)[:, None],
            normal_matrix=torch.full((len(x), 1, 1), 0.4, dtype=torch.float64),
        )

    longest, start = torch.ones(1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    found = minimise(valley, torch.add, start, longest, CONFIG)
    assert found.converged.tolist() == [True]
    assert float(found.states[0, 0]) == pytest.approx(0.025, abs=5e-3)
    # Also where the first one short enough promises next to nothing: those refused promised much.
    lenient = LevenbergMarquardtConfig(tolerance=5e-3)
    found = minimise(valley, torch.add, start, longest, lenient)
    assert float(found.states[0, 0]) > 0.01


def test_an_observer_sees_the_start_and_where_each_step_leads() -> None:
    seen: list[Observed] = []
    found = minimise(linearize, move, STARTS, LONGEST, CONFIG, observe=seen.append)
    assert torch.equal(found.states, minimise(linearize, move, STARTS, LONGEST, CONFIG).states)
    assert torch.equal(seen[0].states, STARTS)
    assert not seen[0].tried.any()
    assert torch.equal(seen[-1].states, found.states)
    assert sum(int(step.tried.sum()) for step in seen) == found.iterations
    assert torch.equal(seen[1].damping, torch.full((3,), CONFIG.damping, dtype=torch.float64))
    for before, after in itertools.pairwise(seen):
        assert bool((after.values <= before.values).all())
        moved = (after.states != before.states).flatten(1).any(dim=-1)
        assert torch.equal(moved, after.accepted)
        assert not (after.accepted & ~after.tried).any()
