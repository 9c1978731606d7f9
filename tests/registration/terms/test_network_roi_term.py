"""The term of regions that a network finds in the rendered image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
from wsreg.similarity.moments import moments
from wsreg.volumes.volume import Volume

Segmenter = Callable[[Tensor], Tensor]


def seen(image: Tensor) -> Projection:
    nothing = torch.empty(0)
    return Projection(
        image=image, image_jacobian=nothing, roi_lengths_mm=nothing, roi_jacobian=nothing
    )


def term_of(
    target: Tensor, valid: Tensor, segmenter: Segmenter, config: RoiConfig
) -> NetworkRoiTerm:
    regions = RoiMasks(
        names=tuple(f"region {n}" for n in range(len(target))),
        target=target,
        distances=distance_maps(target),
        valid=valid.expand_as(target),
        moments=moments(target, valid),
    )
    return NetworkRoiTerm(regions=regions, segmenter=segmenter, config=config)


@pytest.fixture(params=["unet", "medsam"])
def segmenter(request: pytest.FixtureRequest, sam_config: dict[str, Any]) -> Segmenter:
    """A network without training, which finds three regions in images [B,1,H,W]."""
    torch.manual_seed(0)
    if request.param == "unet":
        unet = UNet(UNetConfig(rois=3, channels=(8, 16))).double().eval()
        return lambda images: unet(normalised(images)).sigmoid()
    sam = MedSam(sam_config).double()
    boxes = torch.tensor([[2.0, 2.0, 12.0, 14.0], [8.0, 2.0, 17.0, 14.0], [5.0, 3.0, 14.0, 12.0]])
    boxes = boxes.double()
    return lambda images: sam(windowed(images), boxes.expand(len(images), 3, 4)).sigmoid()


def test_the_gradient_through_a_network_is_that_of_central_differences(
    target: RoiTarget, blocky: Volume, pose: Tensor, tiny_camera: Camera, valid: Tensor,
    segmenter: Segmenter,
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
