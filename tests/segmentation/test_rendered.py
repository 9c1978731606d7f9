"""Rendered regions: known path lengths, their silhouettes, derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.segmentation.rendered import (
    rendered_rois,
    rendered_rois_with_jacobian,
    sharpness_per_mm,
    soft_masks,
)
from wsreg.similarity.soft_dice import dice_loss, linearize_dice, soft_dice
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.resampling import resample_isotropic
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=56, columns=64, pixel_spacing_mm=(6.0, 6.0))
SMALL = CAMERA.resized(14, 16)
BONES = ("hip_left", "hip_right", "sacrum", "femur_left", "femur_right", "vertebrae_L4")


@pytest.fixture(name="phantom", scope="module")
def _phantom() -> Volume:
    return analytic_phantom()


def labels_of(volume: Volume) -> tuple[tuple[int, ...], ...]:
    values = {name: value for value, name in volume.label_names.items()}
    return tuple((values[name],) for name in BONES)


def turned(volume: Volume, *step: float) -> Tensor:
    twist = torch.tensor(step, dtype=torch.float64)
    return perturb(view_pose(volume, CAMERA), twist, volume.centre_mm)


def test_one_voxel_in_a_region_is_63_percent() -> None:
    volume = Volume(hu=torch.zeros(2, 2, 2), ct_from_voxel=torch.diag(torch.tensor([2.0, 3, 4, 1])))
    assert sharpness_per_mm(volume) == 0.25
    masks = soft_masks(torch.tensor([0.0, 4.0, 400.0]), 0.25)
    assert masks.tolist() == pytest.approx([0.0, 1.0 - math.exp(-1.0), 1.0])


def test_a_ray_through_a_block_sees_its_length() -> None:
    labels = torch.zeros(20, 20, 20, dtype=torch.uint8)
    labels[5:15, 5:15, 5:15] = 3
    block = Volume(
        hu=torch.zeros(20, 20, 20), ct_from_voxel=torch.eye(4, dtype=torch.float64), labels=labels
    )
    camera = Camera(source_to_detector_mm=1000.0, rows=1, columns=1, pixel_spacing_mm=(1.0, 1.0))
    mask = rendered_rois(block, camera, view_pose(block, camera)[None], ((3,),))
    assert float(mask) == pytest.approx(1.0 - math.exp(-10.0), abs=1e-6)


def test_it_agrees_with_the_silhouette(phantom: Volume) -> None:
    """At the right pose; the silhouette is made of rays four times as dense."""
    pose = turned(phantom, 0.1, -0.1, 0.05, 5.0, 0.0, 20.0)
    soft = rendered_rois(phantom, CAMERA, pose[None], labels_of(phantom))[0]
    fine = CAMERA.resized(4 * CAMERA.rows, 4 * CAMERA.columns)
    hit = rendered_rois(phantom, fine, pose[None], labels_of(phantom))[0] > 0.5
    hard = torch.nn.functional.avg_pool2d(hit.float(), 4)
    dice = soft_dice(hard, soft, torch.ones(CAMERA.rows, CAMERA.columns))
    assert float(dice.min()) > 0.97, dict(zip(BONES, dice.tolist(), strict=True))


def test_dice_falls_with_the_pose_as_its_gradient_says(phantom: Volume) -> None:
    phantom = resample_isotropic(phantom, 10.0)
    labels, pivot = labels_of(phantom)[:4], phantom.centre_mm
    here = turned(phantom, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    target = rendered_rois(phantom, SMALL, here[None], labels)[0].double()
    start = turned(phantom, 0.05, -0.04, 0.06, 8.0, -6.0, 20.0)
    mask = torch.ones(SMALL.rows, SMALL.columns, dtype=torch.bool)

    def loss(pose: Tensor) -> Tensor:
        soft = rendered_rois(phantom, SMALL, pose[None], labels, backend="reference")
        return dice_loss(target, soft, mask)[0]

    soft, jacobian = rendered_rois_with_jacobian(
        phantom, SMALL, start[None], labels, pivot_mm=pivot, backend="reference"
    )
    gradient = linearize_dice(target, soft, jacobian, mask).gradient[0]
    for axis, size in enumerate((1e-5, 1e-5, 1e-5, 1e-3, 1e-3, 1e-3)):
        step = torch.zeros(6, dtype=torch.float64)
        step[axis] = size
        ahead, behind = (loss(perturb(start, sign * step, pivot)) for sign in (1.0, -1.0))
        slope = float(ahead - behind) / (2.0 * size)
        assert abs(slope) > 1e-5
        assert float(gradient[axis]) == pytest.approx(slope, rel=1e-3), axis


def test_both_backends_and_autograd_agree(phantom: Volume) -> None:
    labels, small = labels_of(phantom)[:2], SMALL
    pose = turned(phantom, 0.05, 0.1, 0.0, 0.0, 5.0, 0.0)[None].requires_grad_()
    fast, jacobian = rendered_rois_with_jacobian(
        phantom, small, pose.detach(), labels, pivot_mm=phantom.centre_mm
    )
    slow = rendered_rois(phantom, small, pose, labels, backend="reference")
    torch.testing.assert_close(fast, slow.detach().float(), atol=2e-3, rtol=0)
    twist = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    moved = perturb(pose.detach(), twist, phantom.centre_mm)
    total = rendered_rois(phantom, small, moved, labels).sum()
    (gradient,) = torch.autograd.grad(total, twist)
    expected = jacobian.sum(dim=(0, 1, 2, 3)).double()
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-3)
