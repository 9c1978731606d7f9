from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.training.segmentation_config import SegmentationConfig
from wsreg.training.segmentation_data import (
    SegmentationData,
    at_size,
    batch_at,
    load_segmentation_data,
)


def test_data_is_split_by_specimen(data: SegmentationData) -> None:
    assert data.roi_names == ("left-hemipelvis", "left-femur", "right-femur")
    assert data.xrays.shape == (2, 32, 32)
    assert data.held_out[0].shape == (2, 32, 32)
    seen = data.xray_valid.any(dim=(2, 3))
    assert seen.tolist() == [[True, True, True], [True, True, False]]
    assert len(data.layers) == 1


def test_what_cannot_be_held_out_is_said(
    samples: list[Sample], tiny: SegmentationConfig, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"specimens of the data set a, got 'z'"):
        load_segmentation_data(lambda name: samples, ("a",), ("z",), tiny, tmp_path, "")
    with pytest.raises(InputError, match="leaves no specimen"):
        load_segmentation_data(lambda name: samples, ("a",), ("a",), tiny, tmp_path, "")


def test_a_batch_follows_from_seed_and_step(
    data: SegmentationData, tiny: SegmentationConfig
) -> None:
    first, again = batch_at(data, tiny, 3, 0.8), batch_at(data, tiny, 3, 0.8)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], batch_at(data, tiny, 4, 0.8)[0])
    images, masks, valid = first
    assert images.shape == (2, 1, 32, 32)
    assert masks.shape == (2, 3, 32, 32)
    assert valid.shape == (2, 3, 32, 32)


def test_coarser_pixels_are_means_and_majorities() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    mask = image < 5.0
    images, masks, valid = at_size(image, mask.float(), ~mask, 2)
    assert images.tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert masks.tolist() == [[[[1.0, 0.0], [0.0, 0.0]]]]  # two of four are no majority
    assert valid.tolist() == [[[[False, False], [True, True]]]]
    assert at_size(image, mask.float(), ~mask, 4)[0] is image
