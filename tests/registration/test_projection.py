"""One projection of several bodies: sums, and derivatives in the rig's axes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.registration.bodies import LevelBody, level_bodies
from wsreg.registration.problem import Problem
from wsreg.registration.projection import RoiGrid, project
from wsreg.rendering.render import render
from wsreg.volumes.parts import CtPart
from wsreg.volumes.volume import Volume

PELVIS, FEMURS = (7, 8, 14), (9, 15)
SIZES = torch.tensor([1e-6, 1e-6, 1e-6, 1e-4, 1e-4, 1e-4] * 2, dtype=torch.float64)
"""Of central differences: rad and mm."""


@pytest.fixture(name="parts", scope="module")
def _parts(pair: Problem) -> tuple[LevelBody, ...]:
    return level_bodies(pair.bodies, pair.ct, (8.0,), 0)


def assert_jacobian(jacobian: Tensor, image_of: Callable[[Tensor], Tensor]) -> None:
    """Compare [...,12] with central differences of ``image_of(steps [12])``, float64."""
    for number, size in enumerate(SIZES.tolist()):
        change = torch.zeros(12, dtype=torch.float64)
        change[number] = size
        slope = (image_of(change) - image_of(-change)) / (2.0 * size)
        apart = (jacobian[..., number].double() - slope).norm() / slope.norm().clamp_min(1e-12)
        # Where a ray crosses a voxel's edge within the difference the two may differ.
        assert float(apart) < 3e-3, number


def moved(state: Tensor, steps: Tensor, parts: tuple[LevelBody, ...]) -> Tensor:
    each = zip(state, steps.reshape(2, 6), parts, strict=True)
    return torch.stack([perturb(pose, one, part.pivot_mm) for pose, one, part in each])


def test_the_image_is_the_sum_of_the_bodies(
    parts: tuple[LevelBody, ...], pair: Problem, small_camera: Camera, true_state: Tensor
) -> None:
    identity = torch.eye(4, dtype=torch.float64)
    each = [
        render(part.volume, small_camera, pose)[:, 0]
        for part, pose in zip(parts, true_state, strict=True)
    ]
    seen = project(parts, small_camera, identity, true_state[None])
    torch.testing.assert_close(seen.image, each[0] + each[1])
    assert float(each[1].max()) > 0.1
    # Where both have the same pose they are one body again, but for rounded Hounsfield units.
    same = true_state[:1].expand(1, 2, 4, 4)
    (whole,) = pair.ct.levels((8.0,), CtPart(kind="alone", groups=((*PELVIS, *FEMURS),)))
    together = render(whole, small_camera, true_state[0])[:, 0]
    apart = project(parts, small_camera, identity, same).image - together
    assert float(apart.abs().max()) < 2e-3 * float(together.max())


def test_what_is_not_asked_for_is_empty(
    parts: tuple[LevelBody, ...], small_camera: Camera, true_state: Tensor
) -> None:
    identity = torch.eye(4, dtype=torch.float64)
    seen = project(parts, small_camera, identity, true_state[None])
    assert seen.image.shape == (1, 28, 32)
    assert seen.image_jacobian.numel() == 0
    assert seen.roi_lengths_mm.numel() == seen.roi_jacobian.numel() == 0
    grid = RoiGrid(camera=small_camera, bodies=parts, labels=(((8,),), ((9,),)))
    rois = project(parts, small_camera, identity, true_state[None], image=False, rois=grid)
    assert rois.image.numel() == 0
    assert rois.roi_lengths_mm.shape == (1, 1, 28, 32)


def test_the_jacobian_is_that_of_central_differences_in_the_rigs_axes(
    parts: tuple[LevelBody, ...], small_camera: Camera, true_state: Tensor, second_from_rig: Tensor
) -> None:
    seen = project(
        parts, small_camera, second_from_rig, true_state[None], derivatives=True,
        backend="reference",
    )  # fmt: skip

    def image_of(steps: Tensor) -> Tensor:
        poses = second_from_rig @ moved(true_state, steps, parts)
        images = [
            render(part.volume, small_camera, pose, backend="reference")[0, 0]
            for part, pose in zip(parts, poses, strict=True)
        ]
        return images[0] + images[1]

    torch.testing.assert_close(
        seen.image[0].double(), image_of(torch.zeros(12, dtype=torch.float64)), rtol=1e-5, atol=1e-6
    )
    assert_jacobian(seen.image_jacobian[0], image_of)


def test_both_backends_agree(
    parts: tuple[LevelBody, ...], small_camera: Camera, true_state: Tensor, second_from_rig: Tensor
) -> None:
    grid = RoiGrid(camera=small_camera, bodies=parts, labels=((PELVIS, ()), ((), FEMURS)))
    fast, slow = (
        project(
            parts, small_camera, second_from_rig, true_state[None], rois=grid, derivatives=True,
            backend=backend,
        )
        for backend in ("numba", "reference")
    )  # fmt: skip
    for name in ("image", "image_jacobian", "roi_lengths_mm", "roi_jacobian"):
        a, b = getattr(fast, name), getattr(slow, name)
        assert float((a - b).norm() / b.norm()) < 5e-3, name


def test_regions_are_summed_over_the_bodies_that_have_them(
    parts: tuple[LevelBody, ...], coarse: Volume, small_camera: Camera, true_state: Tensor,
    second_from_rig: Tensor,
) -> None:  # fmt: skip
    """The first region lies in both bodies, the second in the femurs only, the third in none of
    them but the pelvis, on a grid of its own."""
    camera = small_camera.resized(14, 16)
    labels = (((8,), (), (7,)), ((9,), (15,), ()))
    grid = RoiGrid(camera=camera, bodies=parts, labels=labels)
    seen = project(
        parts, small_camera, second_from_rig, true_state[None], image=False, rois=grid,
        derivatives=True, backend="reference",
    )  # fmt: skip
    assert seen.image.numel() == 0
    assert seen.roi_lengths_mm.shape == (1, 3, 14, 16)
    assert seen.roi_jacobian.shape == (1, 3, 14, 16, 12)

    def lengths_of(steps: Tensor) -> Tensor:
        pelvis, femurs = second_from_rig @ moved(true_state, steps, parts)

        def lengths(pose: Tensor, *wanted: int) -> Tensor:
            return render(
                coarse, camera, pose, rois=wanted, attenuation=False, backend="reference"
            )[0]

        hip, sacrum = lengths(pelvis, 8, 7)
        left, right = lengths(femurs, 9, 15)
        return torch.stack((hip + left, right, sacrum))

    expected = lengths_of(torch.zeros(12, dtype=torch.float64))
    assert bool((expected.amax(dim=(1, 2)) > 10.0).all())
    torch.testing.assert_close(seen.roi_lengths_mm[0].double(), expected, rtol=1e-5, atol=1e-4)
    assert_jacobian(seen.roi_jacobian[0], lengths_of)
    # Exactly nothing where a body has no part in a region.
    assert not bool(seen.roi_jacobian[0, 1, ..., :6].any())
    assert not bool(seen.roi_jacobian[0, 2, ..., 6:].any())


def test_without_derivatives_it_is_differentiable_to_the_states(
    parts: tuple[LevelBody, ...], small_camera: Camera, true_state: Tensor, second_from_rig: Tensor
) -> None:
    steps = torch.zeros(12, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(28, 32, generator=torch.Generator().manual_seed(0))
    grid = RoiGrid(camera=small_camera, bodies=parts, labels=(((8,), ()), ((9,), (15,))))

    def project_moved(states: Tensor, derivatives: bool) -> tuple[Tensor, Tensor]:
        seen = project(
            parts, small_camera, second_from_rig, states[None], rois=grid, derivatives=derivatives
        )
        total = (weight * seen.image).sum() + (weight * seen.roi_lengths_mm).sum()
        if not derivatives:
            return total, seen.image
        slopes = torch.einsum("hw,bhwp->p", weight, seen.image_jacobian)
        return total, slopes + torch.einsum("hw,brhwp->p", weight, seen.roi_jacobian)

    (gradient,) = torch.autograd.grad(
        project_moved(moved(true_state, steps, parts), False)[0], steps
    )
    _, expected = project_moved(true_state, True)
    torch.testing.assert_close(gradient, expected.double(), rtol=1e-3, atol=1e-2)


def test_a_batch_is_its_members(
    parts: tuple[LevelBody, ...], small_camera: Camera, true_state: Tensor, pair: Problem
) -> None:
    identity = torch.eye(4, dtype=torch.float64)
    states = torch.stack((true_state, pair.start))
    both = project(parts, small_camera, identity, states, derivatives=True)
    for number in range(2):
        alone = project(
            parts, small_camera, identity, states[number : number + 1], derivatives=True
        )
        assert torch.equal(both.image[number], alone.image[0])
        assert torch.equal(both.image_jacobian[number], alone.image_jacobian[0])
