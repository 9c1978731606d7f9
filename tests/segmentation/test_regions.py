from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wsreg.errors import InputError
from wsreg.networks.checkpoint import ModelCard
from wsreg.radiographs.radiograph import Radiograph
from wsreg.segmentation.regions import boxes_found_by, label_image, regions, segment_radiograph
from wsreg.segmentation.segmenter import Segmenter, load_segmenter


def test_the_likelier_region_keeps_the_pixel() -> None:
    probabilities = torch.tensor([[[0.9, 0.6, 0.4]], [[0.2, 0.8, 0.3]]])
    assert label_image(probabilities).tolist() == [[1, 2, 0]]


def test_area_and_centroid() -> None:
    probabilities = torch.zeros(2, 5, 6)
    probabilities[0, 1:3, 2:5] = 1.0
    found = regions(probabilities, ("a", "b"))
    assert found[0].area_px == 6
    assert found[0].centroid_px == (3.0, 1.5)
    assert found[1].area_px == 0
    assert found[1].centroid_px is None


def test_nothing_is_found_where_the_xray_is_masked_out(unet_folder: Path) -> None:
    mask = torch.ones(20, 20, dtype=torch.bool)
    mask[:, :5] = False
    radiograph = Radiograph(image=torch.rand(20, 20), mask=mask)
    found = segment_radiograph(load_segmenter(unet_folder), radiograph)
    assert found.shape == (2, 20, 20)
    assert float(found[:, :, :5].max()) == 0.0
    assert float(found[:, :, 5:].max()) > 0.0


def test_of_two_polarities_the_one_in_which_more_is_found_counts() -> None:
    bright = torch.zeros(16, 16)
    bright[4:12, 4:12] = 1.0
    card = ModelCard(kind="unet", config={}, roi_names=("a",), size_px=16)
    finds_bright = Segmenter(card=card, network=lambda x, _: x, normalise=lambda x: x)
    everywhere = torch.ones(16, 16, dtype=torch.bool)
    for image, other in ((bright, torch.zeros(16, 16)), (torch.zeros(16, 16), bright)):
        radiograph = Radiograph(image=image, mask=everywhere, opposite_polarity=other)
        assert torch.equal(segment_radiograph(finds_bright, radiograph)[0], bright)


def test_boxes_come_only_from_models_that_need_none_and_find_the_regions(
    unet_folder: Path, medsam_folder: Path
) -> None:
    radiograph = Radiograph(
        image=torch.rand(20, 20), mask=torch.ones(20, 20, dtype=torch.bool)
    )  # fmt: skip
    unet = load_segmenter(unet_folder)
    assert boxes_found_by(unet, radiograph, unet.roi_names).shape == (2, 4)
    with pytest.raises(InputError, match="must come from a model that finds them"):
        boxes_found_by(unet, radiograph, ["sacrum"])
    with pytest.raises(InputError, match="without boxes, got a medsam"):
        boxes_found_by(load_segmenter(medsam_folder), radiograph, unet.roi_names)
