"""Regions that a network finds, against rendered labels and against itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wsreg.errors import InputError
from wsreg.radiographs.radiograph import Radiograph
from wsreg.segmentation.network_rois import network_against_rendered, network_on_both_sides
from wsreg.segmentation.segmenter import load_segmenter
from wsreg.volumes.volume import Volume


@pytest.fixture(name="radiograph")
def _radiograph() -> Radiograph:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(24, 32, generator=generator)
    mask = torch.ones_like(image, dtype=torch.bool)
    mask[:5] = False
    return Radiograph(image=image, mask=mask)


def test_the_ct_decides_which_regions_are_compared(
    unet_folder: Path, radiograph: Radiograph
) -> None:
    volume = Volume(
        hu=torch.zeros(1, 1, 2),
        ct_from_voxel=torch.eye(4),
        labels=torch.tensor([[[0, 76]]], dtype=torch.uint8),
        label_names={76: "femur_right"},
    )
    rois = network_against_rendered(load_segmenter(unet_folder), radiograph, volume)
    assert rois.names == ("right-femur",)
    assert rois.labels == ((76,),)
    assert set(rois.masks.unique().tolist()) <= {0.0, 1.0}
    assert not bool(rois.masks[:, :5].any())


def test_the_network_sees_the_rendered_image_too(unet_folder: Path, radiograph: Radiograph) -> None:
    rois = network_on_both_sides(load_segmenter(unet_folder), radiograph)
    assert rois.names == ("left-femur", "right-femur")
    assert rois.moving_segmenter is not None
    images = torch.rand(3, 1, 12, 16).requires_grad_()
    found = rois.moving_segmenter(images)
    assert found.shape == (3, 2, 12, 16)
    (gradient,) = torch.autograd.grad(found.sum(), images)
    assert bool(gradient.any())


def test_boxes_of_the_x_ray_serve_the_smaller_rendered_image(
    medsam_folder: Path, radiograph: Radiograph
) -> None:
    segmenter = load_segmenter(medsam_folder)
    boxes = torch.tensor([[2.0, 6.0, 20.0, 20.0], [10.0, 8.0, 28.0, 22.0]])
    rois = network_on_both_sides(segmenter, radiograph, boxes)
    assert rois.moving_segmenter is not None
    half = torch.nn.functional.avg_pool2d(radiograph.image[None, None], 2)
    expected = segmenter.probabilities(half, (boxes + 0.5) / 2 - 0.5)
    torch.testing.assert_close(rois.moving_segmenter(half), expected)
    with pytest.raises(InputError, match="needs a box"):
        network_on_both_sides(segmenter, radiograph)
