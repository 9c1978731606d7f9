from __future__ import annotations

import pytest
import torch

from wsreg.errors import InputError
from wsreg.segmentation.rois import RoiTarget


def test_what_is_known_is_what_is_valid_and_told() -> None:
    masks, valid = torch.zeros(2, 2, 2), torch.tensor([[True, True], [True, False]])
    known = torch.tensor([[[True, False], [True, True]], [[True, True], [True, True]]])
    told = RoiTarget(names=("a", "b"), masks=masks, labels=((1,), (2,)), known=known)
    assert told.known_where(valid)[0].tolist() == [[True, False], [True, False]]
    plain = RoiTarget(names=("a", "b"), masks=masks, labels=((1,), (2,)))
    assert torch.equal(plain.known_where(valid)[1], valid)


def test_there_may_be_no_region() -> None:
    assert RoiTarget(names=(), masks=torch.zeros(0, 4, 4)).labels == ()


def test_only_what_is_made_of_the_wanted_labels_is_kept() -> None:
    masks = torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(0))
    rois = RoiTarget(
        names=("a", "b", "c"), masks=masks, labels=((1,), (2, 3), (4,)), known=masks > 0.5
    )
    some = rois.restricted_to((2, 3, 4, 9))
    assert (some.names, some.labels) == (("b", "c"), ((2, 3), (4,)))
    assert torch.equal(some.masks, masks[1:])
    assert some.known is not None
    assert torch.equal(some.known, masks[1:] > 0.5)
    assert rois.restricted_to((3, 4)).names == ("c",)  # half of b is not b
    assert rois.restricted_to(()).names == ()


def test_regions_of_a_mirrored_xray_are_mirrored() -> None:
    masks = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    known = torch.tensor([[[True, False, False], [True, True, True]]])
    rois = RoiTarget(names=("a",), masks=masks, labels=((1,),), known=known)
    found = rois.mirrored()
    assert found.masks.tolist() == [[[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]]
    assert found.known is not None
    assert found.known.tolist() == [[[False, False, True], [True, True, True]]]
    assert (found.names, found.labels) == (rois.names, rois.labels)
    plain = RoiTarget(names=("a",), masks=masks, labels=((1,),)).mirrored()
    assert plain.known is None
    assert torch.equal(plain.mirrored().masks, masks)


def test_regions_are_chosen_on_both_sides() -> None:
    masks = torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(0))
    rois = RoiTarget(
        names=("a", "b", "c"), masks=masks, moving_segmenter=lambda images: images * masks
    )
    some = rois.at([2, 0])
    assert some.names == ("c", "a")
    assert some.moving_segmenter is not None
    assert torch.equal(some.moving_segmenter(torch.ones(1, 1, 2, 2))[0], masks[[2, 0]])


def test_parts_that_do_not_fit_are_refused() -> None:
    masks = torch.zeros(1, 4, 4)
    with pytest.raises(InputError, match=r"one mask for each of the 2 names, got \[1, 4, 4\]"):
        RoiTarget(names=("a", "b"), masks=masks, labels=((1,), (2,)))
    with pytest.raises(InputError, match="must be probabilities from 0 to 1"):
        RoiTarget(names=("a",), masks=masks + 2.0, labels=((1,),))
    with pytest.raises(InputError, match="must be probabilities from 0 to 1"):
        RoiTarget(names=("a",), masks=masks * torch.nan, labels=((1,),))
    with pytest.raises(InputError, match=r"known must have the ROI masks' shape \[1, 4, 4\]"):
        RoiTarget(names=("a",), masks=masks, labels=((1,),), known=torch.ones(4, 4).bool())
    with pytest.raises(InputError, match="labels of each of the 1 ROIs, got 0 groups"):
        RoiTarget(names=("a",), masks=masks)
