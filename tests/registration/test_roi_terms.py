"""The ROI part of the loss: values, derivatives, what takes part."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from wsreg.registration.roi_terms import RoiConfig, RoiTerms, make_roi_terms

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.networks.medsam import MedSam, windowed
from wsreg.networks.normalisation import normalised
from wsreg.networks.unet import UNet, UNetConfig
from wsreg.rendering.render import render
from wsreg.segmentation.rendered import rendered_rois
from wsreg.segmentation.rois import RoiTarget
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.resampling import resample_isotropic
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=16, columns=20, pixel_spacing_mm=(18.0, 18.0))
NAMES = ("hip_left", "hip_right", "sacrum")
SMALL_SAM = {
    "vision_config": {
        "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 8, "window_size": 2, "global_attn_indexes": [0],
        "mlp_dim": 16, "num_pos_feats": 8,
    },
    "prompt_encoder_config": {
        "hidden_size": 16, "image_size": 32, "patch_size": 8, "mask_input_channels": 4,
    },
    "mask_decoder_config": {
        "hidden_size": 16, "mlp_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "iou_head_hidden_dim": 16,
    },
}  # fmt: skip
VALID = torch.ones(CAMERA.rows, CAMERA.columns, dtype=torch.bool)


@pytest.fixture(name="phantom", scope="module")
def _phantom() -> Volume:
    return resample_isotropic(analytic_phantom(), 10.0)


@pytest.fixture(name="labels", scope="module")
def _labels(phantom: Volume) -> tuple[tuple[int, ...], ...]:
    values = {name: value for value, name in phantom.label_names.items()}
    return tuple((values[name],) for name in NAMES)


@pytest.fixture(name="truth", scope="module")
def _truth(phantom: Volume) -> Tensor:
    return view_pose(phantom, CAMERA)


@pytest.fixture(name="target", scope="module")
def _target(phantom: Volume, labels: tuple[tuple[int, ...], ...], truth: Tensor) -> RoiTarget:
    masks = rendered_rois(phantom, CAMERA, truth[None], labels)[0]
    return RoiTarget(names=NAMES, masks=masks, labels=labels)


def terms_of(
    target: RoiTarget, phantom: Volume, config: RoiConfig | None = None, valid: Tensor = VALID
) -> RoiTerms | None:
    return make_roi_terms(
        target, valid, CAMERA, phantom, phantom.centre_mm, "reference", config or RoiConfig()
    )


def test_nothing_is_lost_at_the_truth_and_more_the_farther_from_it(
    target: RoiTarget, phantom: Volume, truth: Tensor
) -> None:
    terms = terms_of(target, phantom)
    assert terms is not None
    steps = torch.zeros(5, 6, dtype=torch.float64)
    steps[:, 3] = torch.tensor([0.0, 5.0, 20.0, 60.0, 100.0])
    poses = perturb(truth.expand(5, 4, 4), steps, phantom.centre_mm)
    losses = terms.loss(terms.masks(poses, torch.zeros(5, 16, 20)))
    assert float(losses[0]) < 2e-3  # of mass beside a mask of one half
    assert bool((losses.diff() > 0).all()), losses


def test_dice_alone_is_the_papers_term(target: RoiTarget, phantom: Volume, truth: Tensor) -> None:
    terms = terms_of(target, phantom, RoiConfig(dice_weight=0.1, distance_weight=0.0))
    assert terms is not None
    step = torch.tensor([0.0, 0.0, 0.0, 10.0, 0.0, 0.0], dtype=torch.float64)
    masks = terms.masks(perturb(truth, step, phantom.centre_mm)[None], torch.zeros(1, 16, 20))
    expected = 0.1 * (1.0 - terms.dice(masks).mean(dim=-1))
    torch.testing.assert_close(terms.loss(masks), expected)


def test_the_gradient_is_that_of_central_differences(
    target: RoiTarget, phantom: Volume, truth: Tensor
) -> None:
    terms = terms_of(target, phantom)
    assert terms is not None
    terms = dataclasses.replace(
        terms, target=terms.target.double(), distances=terms.distances.double()
    )
    step = torch.tensor([0.05, -0.04, 0.06, 25.0, -20.0, 20.0], dtype=torch.float64)
    start = perturb(truth, step, phantom.centre_mm)
    here = terms.linearize(start[None])
    image = torch.zeros(1, 16, 20)
    torch.testing.assert_close(here.value, terms.loss(terms.masks(start[None], image)))
    for axis, size in enumerate((1e-5, 1e-5, 1e-5, 1e-3, 1e-3, 1e-3)):
        change = torch.zeros(6, dtype=torch.float64)
        change[axis] = size
        ahead, behind = (
            terms.loss(terms.masks(perturb(start, s * change, phantom.centre_mm)[None], image))
            for s in (1.0, -1.0)
        )
        slope = float(ahead - behind) / (2.0 * size)
        assert float(here.gradient[0, axis]) == pytest.approx(slope, rel=1e-3, abs=1e-7), axis
    assert float(torch.linalg.eigvalsh(here.normal_matrix[0]).min()) > -1e-9


def finds_with_unet(images: Tensor) -> Tensor:
    torch.manual_seed(0)
    network = UNet(UNetConfig(rois=3, channels=(8, 16))).double().eval()
    found: Tensor = network(normalised(images)).sigmoid()
    return found


def finds_with_medsam(images: Tensor) -> Tensor:
    torch.manual_seed(0)
    network = MedSam(SMALL_SAM).double()
    boxes = torch.tensor([[2.0, 2.0, 12.0, 14.0], [8.0, 2.0, 17.0, 14.0], [5.0, 3.0, 14.0, 12.0]])
    found: Tensor = network(windowed(images), boxes.double().expand(len(images), 3, 4)).sigmoid()
    return found


@pytest.mark.parametrize("moving", [finds_with_unet, finds_with_medsam])
def test_the_gradient_through_a_network_is_that_of_central_differences(
    target: RoiTarget, phantom: Volume, truth: Tensor, moving: Callable[[Tensor], Tensor]
) -> None:
    both = dataclasses.replace(
        target, masks=target.masks.double(), labels=(), moving_segmenter=moving
    )
    terms = terms_of(both, phantom, RoiConfig(dice_weight=1.0, distance_weight=0.0))
    assert terms is not None
    terms = dataclasses.replace(terms, target=both.masks, distances=terms.distances.double())
    start = torch.tensor([0.05, -0.04, 0.06, 25.0, -20.0, 20.0], dtype=torch.float64)

    def loss(step: Tensor) -> Tensor:
        pose = perturb(truth, step, phantom.centre_mm)[None]
        image = render(phantom, CAMERA, pose, backend="reference")
        return terms.loss(terms.masks(pose, image[:, 0]))[0]

    step = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(step), step)
    assert bool((gradient.abs() > 1e-8).all())
    for axis, size in enumerate((1e-6, 1e-6, 1e-6, 1e-4, 1e-4, 1e-4)):
        change = torch.zeros(6, dtype=torch.float64)
        change[axis] = size
        with torch.no_grad():
            slope = float(loss(start + change) - loss(start - change)) / (2.0 * size)
        assert float(gradient[axis]) == pytest.approx(slope, rel=1e-3), axis


def test_far_from_overlap_the_distance_still_pulls(
    target: RoiTarget, phantom: Volume, truth: Tensor
) -> None:
    beside = perturb(
        truth, torch.tensor([0.0, 0, 0, 95.0, 0, 0], dtype=torch.float64), phantom.centre_mm
    )
    one = RoiTarget(names=NAMES[:1], masks=target.masks[:1], labels=target.labels[:1])
    overlap, both = (
        terms_of(one, phantom, RoiConfig(distance_weight=weight)) for weight in (0.0, 10.0)
    )
    assert overlap is not None
    assert both is not None
    assert float(overlap.linearize(beside[None]).value[0]) > 0.099
    assert abs(float(overlap.linearize(beside[None]).gradient[0, 3])) < 1e-4
    assert float(both.linearize(beside[None]).gradient[0, 3]) > 1e-3


def test_what_the_x_ray_or_the_ct_lacks_takes_no_part(target: RoiTarget, phantom: Volume) -> None:
    masks = target.masks.clone()
    masks[1] = 0.0
    some = dataclasses.replace(target, masks=masks)
    terms = terms_of(some, phantom)
    assert terms is not None
    assert terms.names == ("hip_left", "sacrum")
    assert terms.labels == (target.labels[0], target.labels[2])
    assert terms_of(some, phantom, valid=~VALID) is None
    assert terms_of(dataclasses.replace(some, masks=torch.zeros_like(masks)), phantom) is None
    nothing = RoiTarget(names=(), masks=torch.zeros(0, CAMERA.rows, CAMERA.columns))
    assert terms_of(nothing, phantom) is None
    assert phantom.labels is not None
    (hip,) = target.labels[0]
    without_hip = dataclasses.replace(
        phantom, labels=torch.where(phantom.labels == hip, 0, phantom.labels)
    )
    left = terms_of(target, without_hip)
    assert left is not None
    assert left.names == ("hip_right", "sacrum")


def test_a_network_takes_the_labels_place(target: RoiTarget, phantom: Volume) -> None:
    masks = target.masks.clone()
    masks[0] = 0.0

    def moving(images: Tensor) -> Tensor:
        return torch.cat((images, 0.5 * images, 0.25 * images), dim=1)

    both = RoiTarget(names=NAMES, masks=masks, moving_segmenter=moving)
    terms = terms_of(both, phantom)
    assert terms is not None
    image = torch.ones(1, CAMERA.rows, CAMERA.columns)
    found = terms.masks(torch.eye(4, dtype=torch.float64)[None], image)
    assert found.amax(dim=(-2, -1)).tolist() == [[0.5, 0.25]]  # the regions that show
