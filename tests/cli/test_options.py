from __future__ import annotations

import math

import pytest
import torch

from wsreg import CArmAngles, InputError, Volume
from wsreg.cli.options import find_labels, parse_view


def small_volume(labels: bool = True) -> Volume:
    values = torch.zeros(2, 3, 4, dtype=torch.uint8)
    values[0, 0, 0], values[1, 1, 1] = 3, 7
    return Volume(
        hu=torch.zeros(2, 3, 4),
        ct_from_voxel=torch.eye(4, dtype=torch.float64),
        labels=values if labels else None,
        label_names={3: "femur", 5: "absent", 7: "tibia"},
    )


def test_views_are_names_or_degrees() -> None:
    assert parse_view("pa") == "PA"
    assert parse_view("-90, 30") == CArmAngles(
        primary_rad=-math.pi / 2, secondary_rad=math.radians(30)
    )


@pytest.mark.parametrize("text", ["", "front", "1", "1,2,3", "nan,0", "inf,0", "a,b"])
def test_other_views_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--view must be one of PA, AP"):
        parse_view(text)


def test_labels_are_values_or_names() -> None:
    assert find_labels(small_volume(), ("tibia", "3")) == (7, 3)
    assert find_labels(small_volume(labels=False), ()) == ()


@pytest.mark.parametrize(("label", "hint"), [("femr", "femur"), ("5", "3, 7"), ("absent", "3, 7")])
def test_unknown_labels_are_refused_with_what_there_is(label: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"got '{label}' .closest: {hint}"):
        find_labels(small_volume(), (label,))


def test_labels_need_a_label_map() -> None:
    with pytest.raises(InputError, match="--labels"):
        find_labels(small_volume(labels=False), ("3",))
