from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from wsreg.errors import InputError
from wsreg.networks.checkpoint import ModelCard
from wsreg.networks.medsam import MedSam, windowed
from wsreg.networks.normalisation import normalised
from wsreg.networks.unet import UNet, UNetConfig
from wsreg.segmentation.segmenter import Segmenter, load_segmenter

BOXES = torch.tensor([[4.0, 4.0, 20.0, 20.0], [math.nan] * 4])


def image(batch: int = 1, rows: int = 24, columns: int = 30) -> torch.Tensor:
    return torch.rand(batch, 1, rows, columns, generator=torch.Generator().manual_seed(1))


def test_probabilities_have_the_size_of_the_image(unet_folder: Path) -> None:
    segmenter = load_segmenter(unet_folder)
    found = segmenter.probabilities(image(2))
    assert found.shape == (2, 2, 24, 30)
    assert torch.equal(segmenter.hard_masks(image(2)), found > 0.5)


def test_neither_unit_nor_offset_of_the_image_matters(unet_folder: Path) -> None:
    segmenter = load_segmenter(unet_folder)
    assert torch.allclose(
        segmenter.probabilities(image()), segmenter.probabilities(30.0 * image() + 4.0), atol=1e-4
    )


def test_medsam_looks_only_where_boxes_say(medsam_folder: Path) -> None:
    segmenter = load_segmenter(medsam_folder)
    assert segmenter.needs_boxes
    found = segmenter.probabilities(image(), BOXES)
    assert found.shape == (1, 2, 24, 30)
    assert float(found[0, 1].max()) < 1e-6
    with pytest.raises(InputError, match="needs a box for each of left-femur, right-femur"):
        segmenter.probabilities(image())
    with pytest.raises(InputError, match=r"boxes must be \[1,2,4\] or \[2,4\], got \[3, 4\]"):
        segmenter.probabilities(image(), torch.zeros(3, 4))


def test_both_architectures_hand_a_gradient_to_the_image(
    unet_folder: Path, medsam_folder: Path
) -> None:
    for folder in (unet_folder, medsam_folder):
        picture = image().requires_grad_()
        load_segmenter(folder).probabilities(picture, BOXES)[:, 0].mean().backward()
        assert picture.grad is not None
        assert float(picture.grad.abs().max()) > 0


def double_segmenters(sam_config: dict[str, Any]) -> Iterator[Segmenter]:
    """Both architectures in double precision, where differences are exact enough."""
    torch.manual_seed(0)
    unet, sam = UNet(UNetConfig(rois=2, channels=(4, 8))).double(), MedSam(sam_config).double()
    card = ModelCard(kind="unet", config={}, roi_names=("a", "b"), size_px=16)
    yield Segmenter(card=card, network=lambda x, _: unet(x).sigmoid(), normalise=normalised)
    card = dataclasses.replace(card, kind="medsam", size_px=32)
    yield Segmenter(card=card, network=lambda x, b: sam(x, b).sigmoid(), normalise=windowed)


def test_the_gradient_to_the_image_matches_central_differences(sam_config: dict[str, Any]) -> None:
    direction = torch.randn(1, 1, 24, 30, generator=torch.Generator().manual_seed(2)).double()
    picture = image().double().requires_grad_()
    for segmenter in double_segmenters(sam_config):

        def overlap(x: torch.Tensor, find: Segmenter = segmenter) -> torch.Tensor:
            return find.probabilities(x, BOXES.double())[0, 0, 4:16, 4:16].mean()

        (gradient,) = torch.autograd.grad(overlap(picture), picture)
        expected = float((gradient * direction).sum())
        step = 1e-6
        with torch.no_grad():
            change = overlap(picture + step * direction) - overlap(picture - step * direction)
        assert abs(expected) > 1e-5
        assert float(change) / (2 * step) == pytest.approx(expected, rel=1e-3)


def test_a_constant_image_gives_finite_probabilities(unet_folder: Path) -> None:
    found = load_segmenter(unet_folder).probabilities(torch.ones(1, 1, 16, 16))
    assert bool(torch.isfinite(found).all())


def test_another_architecture_or_other_regions_are_named(unet_folder: Path) -> None:
    with pytest.raises(InputError, match="must be of the kind medsam, got 'unet'"):
        load_segmenter(unet_folder, kind="medsam")
    with pytest.raises(InputError, match="must find sacrum, it finds left-femur, right-femur"):
        load_segmenter(unet_folder, roi_names=["sacrum"])


def test_an_unknown_architecture_is_named(
    unet_folder: Path, rewrite_card: Callable[..., None]
) -> None:
    rewrite_card(unet_folder, kind="vnet")
    with pytest.raises(InputError, match="must be of the kind unet or medsam, got 'vnet'"):
        load_segmenter(unet_folder)


def test_weights_that_do_not_fit_are_named(
    unet_folder: Path, rewrite_card: Callable[..., None]
) -> None:
    rewrite_card(unet_folder, config={"channels": [4, 12], "output": "sigmoid"})
    with pytest.raises(InputError, match="does not fit its architecture"):
        load_segmenter(unet_folder)
    rewrite_card(unet_folder, config={"output": "sigmoid"})
    with pytest.raises(InputError, match="config that is no unet's: it lacks 'channels'"):
        load_segmenter(unet_folder)


def test_an_image_of_another_shape_is_refused(unet_folder: Path) -> None:
    with pytest.raises(InputError, match=r"image must be \[B,1,H,W\], got \[24, 30\]"):
        load_segmenter(unet_folder).probabilities(torch.rand(24, 30))
