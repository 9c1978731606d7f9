from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from wsreg.errors import InputError
from wsreg.volumes.region_names import find_labels, labels_of_region, region_name
from wsreg.volumes.volume import Volume

TOTAL_SEGMENTATOR = {
    1: "spleen", 25: "sacrum", 26: "vertebrae_S1", 27: "vertebrae_L5", 28: "vertebrae_L4",
    75: "femur_left", 77: "hip_left",
}  # fmt: skip


def volume_with(names: dict[int, str], *more: int) -> Volume:
    values = [0, *names, *more]
    return Volume(
        hu=torch.zeros(1, 1, len(values)),
        ct_from_voxel=torch.eye(4),
        labels=torch.tensor([[values]], dtype=torch.uint8),
        label_names=names,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hip_left", "left-hemipelvis"),
        ("Hip Right", "right-hemipelvis"),
        ("femur_left", "left-femur"),
        ("right-femur", "right-femur"),
        ("vertebrae_T12", "vertebrae"),
        ("vertebrae", "vertebrae"),
        ("vertebrae_S1", "upper-sacrum"),
        ("sacrum", "upper-sacrum"),
        ("rib_left_3", "rib-left-3"),
    ],
)
def test_structures_are_parts_of_regions(name: str, expected: str) -> None:
    assert region_name(name) == expected


def test_a_region_is_made_of_all_its_parts() -> None:
    volume = volume_with(TOTAL_SEGMENTATOR)
    assert labels_of_region("left-hemipelvis", volume) == (77,)
    assert labels_of_region("vertebrae", volume) == (27, 28)
    assert labels_of_region("upper-sacrum", volume) == (25, 26)
    assert labels_of_region("right-hemipelvis", volume) == ()


def test_a_label_of_exactly_this_name_is_the_region_itself() -> None:
    volume = volume_with(TOTAL_SEGMENTATOR)
    assert labels_of_region("vertebrae_L4", volume) == (28,)
    assert labels_of_region("sacrum", volume) == (25,)
    assert labels_of_region("9", volume_with({}, 9)) == (9,)


def test_labels_are_values_or_names_in_the_order_asked_for() -> None:
    volume = volume_with(TOTAL_SEGMENTATOR)
    assert find_labels(volume, ("hip_left", "25", 1), "x") == (77, 25, 1)
    assert find_labels(volume, (77, "hip_left", " 77 "), "x") == (77,)
    assert find_labels(Volume(hu=torch.zeros(1, 1, 1), ct_from_voxel=torch.eye(4)), (), "x") == ()


def test_a_name_means_all_labels_that_have_it() -> None:
    assert find_labels(volume_with({1: "femur", 2: "hip", 3: "femur"}), ("femur",), "x") == (1, 3)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("left-hemipelvis", (77,)),
        ("Hip Left", (77,)),
        ("vertebrae", (27, 28)),
        ("vertebrae-l5", (27,)),
        ("upper-sacrum", (25, 26)),
        ("sacrum", (25,)),
    ],
)
def test_names_of_regions_and_other_spellings_are_understood(
    name: str, labels: tuple[int, ...]
) -> None:
    """Exact names go first: a label sacrum is not all that the region upper-sacrum has."""
    assert find_labels(volume_with(TOTAL_SEGMENTATOR), (name,), "x") == labels


def test_the_names_of_one_data_set_mean_those_of_the_other() -> None:
    volume = volume_with({1: "left-hemipelvis", 4: "upper-sacrum"})
    assert find_labels(volume, ("hip_left", "sacrum"), "x") == (1, 4)


@pytest.mark.parametrize("label", [77, np.int16(77), np.array(77), torch.tensor(77)])
def test_values_may_be_whole_numbers_of_any_kind(label: Any) -> None:
    assert find_labels(volume_with(TOTAL_SEGMENTATOR), (label,), "x") == (77,)


@pytest.mark.parametrize(
    ("label", "got"),
    [
        ("femr_left", r"'femr_left' \(closest: femur_left\)"),
        ("vertebrae_L6", r"'vertebrae_L6' \(closest: vertebrae_L5, .*\)"),
        ("2", "'2'"),
        (0, "0"),
        (True, "True"),
        (None, "None"),
        (1.0, r"1\.0"),
        ([1], r"\[1\]"),
        ("", "''"),
    ],
)
def test_a_label_that_the_ct_lacks_is_refused_with_what_there_is(label: Any, got: str) -> None:
    there = r"1 spleen, 25 sacrum, 26 vertebrae_S1, .*, 77 hip_left"
    said = rf"^--render-labels must name labels of the CT \({there}\), got {got}"
    with pytest.raises(InputError, match=said):
        find_labels(volume_with(TOTAL_SEGMENTATOR), (label,), "--render-labels")


def test_labels_without_names_are_listed_and_of_many_the_first() -> None:
    with pytest.raises(InputError, match=r"of the CT \(3, 7\), got 'tibia'$"):
        find_labels(volume_with({}, 3, 7), ("tibia",), "x")
    many = volume_with({}, *range(1, 21))
    with pytest.raises(InputError, match=r"\(1, 2, .*, 12, and 8 more\), got 99$"):
        find_labels(many, (99,), "x")


def test_labels_need_a_label_map() -> None:
    bare = Volume(hu=torch.zeros(1, 1, 1), ct_from_voxel=torch.eye(4))
    with pytest.raises(InputError, match=r"^--render-labels needs the label map of the CT \(--lab"):
        find_labels(bare, ("3",), "--render-labels")
