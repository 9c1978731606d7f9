"""The term of regions that a network finds in the rendered image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.networks.medsam import MedSam, windowed
from wsreg.networks.normalisation import normalised
from wsreg.networks.unet import UNet, UNetConfig
from wsreg.registration.projection import Projection
from wsreg.registration.terms.config import RoiConfig
from wsreg.registration.terms.network_roi_term import NetworkRoiTerm
from wsreg.registration.terms.roi_masks import RoiMasks
from wsreg.registration.terms.term import LeastSquaresTerm
from wsreg.rendering.render import render
from wsreg.segmentation.rois import RoiTarget
from wsreg.similarity.chamfer import distance_maps
from wsreg.volumes.volume import Volume

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


def seen(image: Tensor) -> Projection:
    nothing = torch.empty(0)
    return Projection(
        image=image, image_jacobian=nothing, roi_lengths_mm=nothing, roi_jacobian=nothing
    )


def term_of(
    target: Tensor, valid: Tensor, segmenter: Callable[[Tensor], Tensor], config: RoiConfig
) -> NetworkRoiTerm:
    regions = RoiMasks(
        names=tuple(f"region {n}" for n in range(len(target))),
        target=target,
        distances=distance_maps(target),
        valid=valid.expand_as(target),
    )
    return NetworkRoiTerm(regions=regions, segmenter=segmenter, config=config)


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


@pytest.mark.parametrize("segmenter", [finds_with_unet, finds_with_medsam])
def test_the_gradient_through_a_network_is_that_of_central_differences(
    target: RoiTarget, blocky: Volume, pose: Tensor, tiny_camera: Camera, valid: Tensor,
    segmenter: Callable[[Tensor], Tensor],
) -> None:  # fmt: skip
    config = RoiConfig(dice_weight=1.0, distance_weight=0.0)
    term = term_of(target.masks.double(), valid, segmenter, config)
    start = torch.tensor([0.05, -0.04, 0.06, 25.0, -20.0, 20.0], dtype=torch.float64)

    def loss(step: Tensor) -> Tensor:
        moved = perturb(pose, step, blocky.centre_mm)[None]
        image = render(blocky, tiny_camera, moved, backend="reference")
        return term.loss(seen(image[:, 0]))[0]

    step = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(step), step)
    assert bool((gradient.abs() > 1e-8).all())
    for axis, size in enumerate((1e-6, 1e-6, 1e-6, 1e-4, 1e-4, 1e-4)):
        change = torch.zeros(6, dtype=torch.float64)
        change[axis] = size
        with torch.no_grad():
            slope = float(loss(start + change) - loss(start - change)) / (2.0 * size)
        assert float(gradient[axis]) == pytest.approx(slope, rel=1e-3), axis


def shades(images: Tensor) -> Tensor:
    return torch.cat((0.5 * images, 0.25 * images), dim=1)


def test_masks_and_dice_by_hand(valid: Tensor) -> None:
    """Even probabilities p against a full mask: 2 p / (1 + p^2)."""
    term = term_of(torch.ones(2, 16, 20), valid, shades, RoiConfig())
    images = torch.stack((torch.ones(16, 20), torch.zeros(16, 20)))
    assert term.masks(seen(images)).amax(dim=(-2, -1)).tolist() == [[0.5, 0.25], [0.0, 0.0]]
    expected = torch.tensor([[1.0 / 1.25, 0.5 / 1.0625], [0.0, 0.0]])
    torch.testing.assert_close(term.dice(seen(images)), expected)


def test_dice_and_distance_are_weighted(valid: Tensor) -> None:
    term = term_of(
        torch.ones(2, 16, 20), valid, shades, RoiConfig(dice_weight=0.3, distance_weight=0.0)
    )
    image = seen(torch.ones(1, 16, 20))
    torch.testing.assert_close(term.loss(image), 0.3 * (1.0 - term.dice(image).mean(dim=-1)))


def test_it_says_by_its_type_that_it_has_a_gradient_only(valid: Tensor) -> None:
    term = term_of(torch.ones(2, 16, 20), valid, shades, RoiConfig())
    assert not isinstance(term, LeastSquaresTerm)
    assert term.reads_image
