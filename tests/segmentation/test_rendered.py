"""Rendered regions: known path lengths, their silhouettes, derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.rendering.render import render_with_jacobian
from wsreg.segmentation.rendered import rendered_rois, sharpness_per_mm, soft_masks
from wsreg.similarity.soft_dice import soft_dice
from wsreg.volumes.phantom import analytic_phantom
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


def test_both_backends_and_autograd_agree(phantom: Volume) -> None:
    labels, small = labels_of(phantom)[:2], SMALL
    pose = turned(phantom, 0.05, 0.1, 0.0, 0.0, 5.0, 0.0)[None].requires_grad_()
    fast = rendered_rois(phantom, small, pose.detach(), labels)
    slow = rendered_rois(phantom, small, pose, labels, backend="reference")
    torch.testing.assert_close(fast, slow.detach().float(), atol=2e-3, rtol=0)
    twist = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    moved = perturb(pose.detach(), twist, phantom.centre_mm)
    total = rendered_rois(phantom, small, moved, labels).sum()
    (gradient,) = torch.autograd.grad(total, twist)
    lengths, jacobian = render_with_jacobian(
        phantom, small, pose.detach(), rois=labels, attenuation=False, pivot_mm=phantom.centre_mm
    )
    k = sharpness_per_mm(phantom)
    slope = k * torch.exp(-k * lengths)
    expected = (slope[..., None] * jacobian).sum(dim=(0, 1, 2, 3)).double()
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-3)
