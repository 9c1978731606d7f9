"""The term of regions rendered from the CT: values, derivatives, what takes part."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.registration.bodies import LevelBody
from wsreg.registration.projection import Projection, RoiGrid, project
from wsreg.registration.terms.config import RoiConfig
from wsreg.registration.terms.rendered_roi_term import RenderedRoiTerm
from wsreg.registration.terms.roi_masks import masks_on_grid
from wsreg.registration.terms.term import LeastSquaresTerm
from wsreg.rendering.prepared import PreparedVolume
from wsreg.rendering.render import render
from wsreg.segmentation.rendered import sharpness_per_mm
from wsreg.segmentation.rois import RoiTarget
from wsreg.similarity.moments import moments
from wsreg.volumes.volume import Volume

IDENTITY = torch.eye(4, dtype=torch.float64)


def term_of(
    target: RoiTarget, blocky: Volume, valid: Tensor, config: RoiConfig | None = None
) -> RenderedRoiTerm:
    found = masks_on_grid(target, valid, tuple(valid.shape), [True] * len(target.names))  # type: ignore[arg-type]
    assert found is not None
    regions, _ = found
    return RenderedRoiTerm(
        regions=regions, sharpness_per_mm=sharpness_per_mm(blocky), config=config or RoiConfig()
    )


def seen_at(
    poses: Tensor, target: RoiTarget, blocky: Volume, camera: Camera, *, derivatives: bool = False
) -> Projection:
    """Regions of one body at poses [B,4,4], by the reference."""
    body = LevelBody(volume=PreparedVolume(volume=blocky), pivot_mm=blocky.centre_mm)
    grid = RoiGrid(camera=camera, bodies=(body,), labels=(target.labels,))
    return project(
        (body,), camera, IDENTITY, poses[:, None], image=False, rois=grid,
        derivatives=derivatives, backend="reference",
    )  # fmt: skip


def of_lengths(lengths_mm: Tensor, jacobian: Tensor | None = None) -> Projection:
    nothing = torch.empty(0)
    return Projection(
        image=nothing,
        image_jacobian=nothing,
        roi_lengths_mm=lengths_mm,
        roi_jacobian=nothing if jacobian is None else jacobian,
    )


def in_double(term: RenderedRoiTerm) -> RenderedRoiTerm:
    target, distances = term.regions.target.double(), term.regions.distances.double()
    regions = dataclasses.replace(
        term.regions,
        target=target,
        distances=distances,
        moments=moments(target, term.regions.valid),
    )
    return dataclasses.replace(term, regions=regions)


def test_nothing_is_lost_at_the_truth_and_more_the_farther_from_it(
    target: RoiTarget, blocky: Volume, pose: Tensor, tiny_camera: Camera, valid: Tensor
) -> None:
    term = term_of(target, blocky, valid)
    steps = torch.zeros(5, 6, dtype=torch.float64)
    steps[:, 3] = torch.tensor([0.0, 5.0, 20.0, 60.0, 100.0])
    poses = perturb(pose.expand(5, 4, 4), steps, blocky.centre_mm)
    losses = term.loss(seen_at(poses, target, blocky, tiny_camera))
    assert float(losses[0]) < 2e-3  # of mass beside a mask of one half
    assert bool((losses.diff() > 0).all()), losses


def test_dice_alone_is_the_papers_term(
    target: RoiTarget, blocky: Volume, pose: Tensor, tiny_camera: Camera, valid: Tensor
) -> None:
    term = term_of(target, blocky, valid, RoiConfig(dice_weight=0.1, distance_weight=0.0))
    step = torch.tensor([0.0, 0.0, 0.0, 10.0, 0.0, 0.0], dtype=torch.float64)
    seen = seen_at(perturb(pose, step, blocky.centre_mm)[None], target, blocky, tiny_camera)
    dice = term.dice(seen)
    assert dice.shape == (1, 3)
    assert 0.2 < float(dice.min()) < float(dice.max()) < 0.95
    torch.testing.assert_close(term.loss(seen), 0.1 * (1.0 - dice.mean(dim=-1)))


def test_the_gradient_is_that_of_central_differences(
    target: RoiTarget, blocky: Volume, pose: Tensor, tiny_camera: Camera, valid: Tensor
) -> None:
    term = term_of(target, blocky, valid)
    step = torch.tensor([0.05, -0.04, 0.06, 25.0, -20.0, 20.0], dtype=torch.float64)
    start = perturb(pose, step, blocky.centre_mm)
    here = seen_at(start[None], target, blocky, tiny_camera, derivatives=True)
    model = term.linearize(here)
    torch.testing.assert_close(model.value, term.loss(here).double(), rtol=1e-5, atol=1e-7)
    exact = in_double(term)
    for axis, size in enumerate((1e-5, 1e-5, 1e-5, 1e-3, 1e-3, 1e-3)):
        change = torch.zeros(6, dtype=torch.float64)
        change[axis] = size
        ahead, behind = (
            exact.loss(
                of_lengths(
                    render(
                        blocky, tiny_camera, perturb(start, sign * change, blocky.centre_mm),
                        rois=target.labels, attenuation=False, backend="reference",
                    )
                )
            )
            for sign in (1.0, -1.0)
        )  # fmt: skip
        slope = float(ahead - behind) / (2.0 * size)
        assert float(model.gradient[0, axis]) == pytest.approx(slope, rel=1e-3, abs=1e-7), axis
    assert float(torch.linalg.eigvalsh(model.normal_matrix[0]).min()) > -1e-9
    assert isinstance(term, LeastSquaresTerm)


@pytest.mark.parametrize(
    "config",
    [
        RoiConfig(),
        RoiConfig(robust_scale=0.1),
        RoiConfig(dice_weight=0.0, distance_weight=0.0, moments_weight=0.7),
        RoiConfig(moments_weight=0.5, robust_scale=0.2),
    ],
)
def test_the_gradient_is_autograds(
    config: RoiConfig, target: RoiTarget, blocky: Volume, valid: Tensor
) -> None:
    """In double precision, from path lengths on."""
    generator = torch.Generator().manual_seed(0)
    term = in_double(term_of(target, blocky, valid, config))
    lengths = 20.0 * torch.rand(2, 3, 16, 20, generator=generator, dtype=torch.float64)
    slopes = torch.rand(2, 3, 16, 20, 6, generator=generator, dtype=torch.float64) - 0.4
    step = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    moved = lengths + torch.einsum("brhwp,bp->brhw", slopes, step)
    (gradient,) = torch.autograd.grad(term.loss(of_lengths(moved)).sum(), step)
    model = term.linearize(of_lengths(lengths, slopes))
    torch.testing.assert_close(model.gradient, gradient, rtol=1e-6, atol=1e-10)
    torch.testing.assert_close(model.value, term.loss(of_lengths(lengths)), rtol=1e-6, atol=0)


def test_regions_that_weigh_nothing_have_a_loss_of_nothing(
    target: RoiTarget, blocky: Volume, valid: Tensor
) -> None:
    term = term_of(target, blocky, valid, RoiConfig(dice_weight=0.0, distance_weight=0.0))
    lengths, slopes = torch.rand(2, 3, 16, 20), torch.rand(2, 3, 16, 20, 6)
    model = term.linearize(of_lengths(lengths, slopes))
    assert model.value.tolist() == term.loss(of_lengths(lengths)).tolist() == [0.0, 0.0]
    assert not bool(model.gradient.any())
    assert not bool(model.normal_matrix.any())


def test_a_region_that_cannot_agree_counts_less(
    target: RoiTarget, blocky: Volume, pose: Tensor, tiny_camera: Camera, valid: Tensor
) -> None:
    """One of the three masks lies elsewhere; at the truth it pulls hardly any more."""
    wrong = target.masks.clone()
    wrong[2] = wrong[2].roll(2, dims=-1)
    seen = seen_at(
        pose[None], dataclasses.replace(target, masks=wrong), blocky, tiny_camera, derivatives=True
    )
    pulls = []
    for scale in (0.0, 0.1):
        config = RoiConfig(distance_weight=0.0, robust_scale=scale)
        term = term_of(dataclasses.replace(target, masks=wrong), blocky, valid, config)
        pulls.append(float(term.linearize(seen).gradient[0, 3].abs()))
    assert 0.0 < pulls[1] < 0.1 * pulls[0]


def test_it_is_told_how_far_regions_are_off_as_a_whole(
    target: RoiTarget, blocky: Volume, pose: Tensor, tiny_camera: Camera, valid: Tensor
) -> None:
    target = target.at([0, 1])
    term = term_of(target, blocky, valid)
    step = torch.tensor([0.0, 0, 0, 20.0, 0, 150.0], dtype=torch.float64)
    moved = perturb(pose, step, blocky.centre_mm)
    depth = float((moved[:3, :3] @ blocky.centre_mm + moved[:3, 3])[2])
    shift, size = term.misplaced(seen_at(moved[None], target, blocky, tiny_camera))
    assert float(shift[0, 0]) == pytest.approx(20.0 * 1000.0 / depth / 18.0, rel=0.15)
    assert abs(float(shift[0, 1])) < 1.0
    assert float(size[0]) == pytest.approx((depth - 150.0) / depth, rel=0.12)


def test_far_from_overlap_the_distance_still_pulls(
    target: RoiTarget, blocky: Volume, pose: Tensor, tiny_camera: Camera, valid: Tensor
) -> None:
    step = torch.tensor([0.0, 0, 0, 95.0, 0, 0], dtype=torch.float64)
    beside = perturb(pose, step, blocky.centre_mm)[None]
    one = target.at([0])
    overlap, both = (
        term_of(one, blocky, valid, RoiConfig(distance_weight=weight)).linearize(
            seen_at(beside, one, blocky, tiny_camera, derivatives=True)
        )
        for weight in (0.0, 10.0)
    )
    assert float(overlap.value[0]) > 0.099
    assert abs(float(overlap.gradient[0, 3])) < 1e-4
    assert float(both.gradient[0, 3]) > 1e-3


def test_what_the_x_ray_lacks_takes_no_part(target: RoiTarget, valid: Tensor) -> None:
    masks = target.masks.clone()
    masks[1] = 0.0
    some, size = dataclasses.replace(target, masks=masks), (16, 20)
    found = masks_on_grid(some, valid, size, [True] * 3)
    assert found is not None
    assert found[0].names == ("hip_left", "sacrum")
    assert found[1] == [0, 2]
    assert masks_on_grid(some, ~valid, size, [True] * 3) is None
    empty = dataclasses.replace(some, masks=torch.zeros_like(masks))
    assert masks_on_grid(empty, valid, size, [True] * 3) is None
    nothing = RoiTarget(names=(), masks=torch.zeros(0, 16, 20))
    assert masks_on_grid(nothing, valid, size, []) is None


def test_what_is_not_wanted_takes_no_part(target: RoiTarget, valid: Tensor) -> None:
    found = masks_on_grid(target, valid, (16, 20), [False, True, True])
    assert found is not None
    assert found[0].names == ("hip_right", "sacrum")
    assert found[1] == [1, 2]
    torch.testing.assert_close(found[0].target, target.masks[1:].float())
    assert masks_on_grid(target, valid, (16, 20), [False] * 3) is None


def test_masks_are_compared_on_a_coarser_grid_where_half_of_a_pixel_is_known(
    target: RoiTarget, valid: Tensor
) -> None:
    known = torch.ones_like(target.masks, dtype=torch.bool)
    known[0, :, :6] = False
    known[0, 0, 6] = False  # a quarter of a coarse pixel
    part = valid.clone()
    part[:4] = False
    found = masks_on_grid(dataclasses.replace(target, known=known), part, (8, 10), [True] * 3)
    assert found is not None
    regions = found[0]
    mean = target.masks.float().reshape(3, 8, 2, 10, 2).mean(dim=(2, 4))
    torch.testing.assert_close(regions.target, mean)
    assert not bool(regions.valid[:, :2].any())
    assert bool(regions.valid[1:, 2:].all())
    assert not bool(regions.valid[0, :, :3].any())
    assert bool(regions.valid[0, 2:, 3:].all())
