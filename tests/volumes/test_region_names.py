from __future__ import annotations

import pytest
import torch

from wsreg.volumes.region_names import labels_of_region, region_name
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
