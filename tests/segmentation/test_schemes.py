"""Schemes: what each compares the X-ray's regions with, and what it must be given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wsreg.errors import InputError
from wsreg.radiographs.radiograph import Radiograph
from wsreg.segmentation.rois import RoiTarget
from wsreg.segmentation.schemes import rois_by_scheme
from wsreg.segmentation.segmenter import Segmenter, load_segmenter
from wsreg.vocabulary import Scheme
from wsreg.volumes.volume import Volume

BOXES = torch.tensor([[2.0, 6.0, 20.0, 20.0], [10.0, 8.0, 28.0, 22.0]])


@pytest.fixture(name="radiograph")
def _radiograph() -> Radiograph:
    return Radiograph(image=torch.rand(24, 32, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(name="volume")
def _volume() -> Volume:
    return Volume(
        hu=torch.zeros(1, 1, 2),
        ct_from_voxel=torch.eye(4),
        labels=torch.tensor([[[0, 76]]], dtype=torch.uint8),
        label_names={76: "femur_right"},
    )


@pytest.fixture(name="unet")
def _unet(unet_folder: Path) -> Segmenter:
    return load_segmenter(unet_folder)


@pytest.fixture(name="medsam")
def _medsam(medsam_folder: Path) -> Segmenter:
    return load_segmenter(medsam_folder)


@pytest.fixture(name="masks")
def _masks() -> RoiTarget:
    masks = torch.zeros(2, 24, 32)
    masks[0, 5:10, 5:10] = 1.0
    return RoiTarget(names=("right-femur", "skull"), masks=masks, labels=((76,), ()))


def test_ours_compares_with_the_labels_whoever_found_the_regions(
    radiograph: Radiograph, volume: Volume, unet: Segmenter, medsam: Segmenter, masks: RoiTarget
) -> None:
    assert rois_by_scheme("ours", radiograph, volume, fixed=masks) is masks
    for fixed, boxes in ((unet, None), (medsam, BOXES)):
        found = rois_by_scheme("ours", radiograph, volume, fixed=fixed, boxes=boxes)
        assert found.labels == ((76,),)
        assert found.moving_segmenter is None


def test_the_papers_schemes_ask_the_same_network_twice(
    radiograph: Radiograph, volume: Volume, unet: Segmenter, medsam: Segmenter
) -> None:
    image = radiograph.image[None, None]
    found = rois_by_scheme("unet", radiograph, volume, fixed=unet)
    assert found.moving_segmenter is not None
    torch.testing.assert_close(found.moving_segmenter(image), unet.probabilities(image))
    found = rois_by_scheme("medsam", radiograph, volume, fixed=medsam, boxes=BOXES)
    assert found.moving_segmenter is not None
    torch.testing.assert_close(found.moving_segmenter(image), medsam.probabilities(image, BOXES))


def test_the_mixed_scheme_asks_a_u_net_for_the_rendered_image(
    radiograph: Radiograph, volume: Volume, unet: Segmenter, medsam: Segmenter, masks: RoiTarget
) -> None:
    """Regions are matched by name; those that the U-Net does not know are left out."""
    image = radiograph.image[None, None]
    right = unet.roi_names.index("right-femur")
    found = rois_by_scheme("mixed", radiograph, volume, fixed=masks, moving=unet)
    assert found.names == ("right-femur",)
    assert torch.equal(found.masks, masks.masks[:1])
    assert found.moving_segmenter is not None
    torch.testing.assert_close(found.moving_segmenter(image), unet.probabilities(image)[:, [right]])
    by_medsam = rois_by_scheme("mixed", radiograph, volume, fixed=medsam, moving=unet, boxes=BOXES)
    assert by_medsam.names == tuple(n for n in medsam.roi_names if n in unet.roi_names)
    assert torch.equal(by_medsam.masks, medsam.hard_masks(image, BOXES)[0].float())


def test_regions_of_other_names_are_matched_by_what_they_are_in_the_ct(
    radiograph: Radiograph, volume: Volume, unet: Segmenter
) -> None:
    """TotalSegmentator's femur_right is the U-Net's right-femur."""
    masks = RoiTarget(names=("femur_right",), masks=torch.ones(1, 24, 32), labels=((76,),))
    found = rois_by_scheme("mixed", radiograph, volume, fixed=masks, moving=unet)
    assert found.names == ("femur_right",)
    assert found.moving_segmenter is not None
    image, right = radiograph.image[None, None], unet.roi_names.index("right-femur")
    torch.testing.assert_close(found.moving_segmenter(image), unet.probabilities(image)[:, [right]])


def test_what_a_scheme_lacks_is_said(
    radiograph: Radiograph, volume: Volume, unet: Segmenter, medsam: Segmenter, masks: RoiTarget
) -> None:
    def refused(said: str, scheme: str, fixed: object, moving: Segmenter | None = None) -> None:
        with pytest.raises(InputError, match=said):
            rois_by_scheme(scheme, radiograph, volume, fixed=fixed, moving=moving)  # type: ignore[arg-type]

    refused("one of ours, unet, medsam, mixed, got 'samreg'", "samreg", unet)
    refused("needs a model or masks for the X-ray, got none for the X-ray", "ours", None)
    refused("scheme unet needs a U-Net for the X-ray, got medsam for", "unet", medsam)
    refused("scheme medsam needs a MedSAM for the X-ray, got masks for", "medsam", masks)
    refused("got masks for the X-ray, none for the rendered image", "mixed", masks)
    refused("got unet for the X-ray, unet for the rendered image", "unet", unet, unet)
    refused("needs a model without boxes .* got a medsam", "mixed", masks, medsam)
    refused("needs a box for each of", "medsam", medsam)
    other = RoiTarget(names=("skull",), masks=torch.zeros(1, 24, 32), labels=((),))
    refused("must be among those that the unet model finds, .*, got skull", "mixed", other, unet)


def test_every_scheme_has_a_name() -> None:
    from typing import get_args

    from wsreg.segmentation.schemes import SCHEMES

    assert tuple(SCHEMES) == get_args(Scheme)
