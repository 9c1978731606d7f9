"""Which labels move as one: by name, by value, by the names of data sets; and what cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from wsreg.errors import InputError
from wsreg.volumes.bodies import labels_of_bodies, parts_of_bodies
from wsreg.volumes.parts import WHOLE_CT, CtPart
from wsreg.volumes.volume import Volume

DEEP_FLUORO = {
    1: "left-hemipelvis",
    2: "right-hemipelvis",
    3: "vertebrae",
    4: "upper-sacrum",
    5: "left-femur",
    6: "right-femur",
}
TOTAL_SEGMENTATOR = {
    25: "sacrum",
    27: "vertebrae_L5",
    28: "vertebrae_L4",
    51: "heart",
    75: "femur_left",
    76: "femur_right",
    77: "hip_left",
    78: "hip_right",
    92: "rib_left_1",
}


def ct_with(names: Mapping[int, str]) -> Volume:
    """A row of voxels, one of each label, all of them bone."""
    labels = torch.tensor([0, *names], dtype=torch.uint8)[None, None]
    hu = torch.full(labels.shape, 1000, dtype=torch.int16)
    return Volume(hu=hu, ct_from_voxel=torch.eye(4), labels=labels, label_names=dict(names))


@pytest.mark.parametrize("preset", ["auto", "pelvis"])
@pytest.mark.parametrize(
    ("names", "pelvis", "left", "right"),
    [
        (DEEP_FLUORO, (1, 2, 3, 4), (5,), (6,)),
        (TOTAL_SEGMENTATOR, (25, 27, 28, 77, 78), (75,), (76,)),
        ({1: "Hip Left ", 9: "FEMUR_right", 12: "skull"}, (1,), None, (9,)),
    ],
)
def test_the_pelvis_is_known_by_the_names_of_data_sets(
    preset: str,
    names: dict[int, str],
    pelvis: tuple[int, ...],
    left: tuple[int, ...] | None,
    right: tuple[int, ...],
) -> None:
    """Heart, rib and skull belong to no body; a femur that is not there is none."""
    found = labels_of_bodies(ct_with(names), preset)
    expected = {"pelvis": pelvis, "left-femur": left, "right-femur": right}
    assert found == {name: labels for name, labels in expected.items() if labels}
    assert next(iter(found)) == "pelvis"


def test_a_single_label_or_a_tensor_of_them_is_a_body() -> None:
    asked: dict[str, Any] = {"a": 5, "b": torch.tensor([2, 1]), "c": (torch.tensor(6),), "rest": []}
    found = labels_of_bodies(ct_with(DEEP_FLUORO), asked)
    assert found == {"a": (5,), "b": (1, 2), "c": (6,)}


def test_the_regions_of_the_preset_may_be_named() -> None:
    found = labels_of_bodies(
        ct_with(TOTAL_SEGMENTATOR),
        {"pelvis": ("left-hemipelvis", "vertebrae"), "leg": "left-femur"},
    )
    assert found == {"pelvis": (27, 28, 77), "leg": (75,)}


@pytest.mark.parametrize("names", [{}, {1: "femur_left", 2: "sacrum"}, {1: "skull"}])
def test_auto_is_one_body_where_no_hip_is_named(names: dict[int, str]) -> None:
    ct = ct_with(names) if names else ct_with({4: ""})
    assert labels_of_bodies(ct, "auto") == {}
    assert parts_of_bodies(ct, "auto") == {"ct": WHOLE_CT}
    with pytest.raises(
        InputError, match=r"^bodies pelvis needs labels with the names of hip bones"
    ):
        labels_of_bodies(ct, "pelvis")


def test_without_labels_there_is_one_body() -> None:
    bare = Volume(hu=torch.zeros(2, 2, 2), ct_from_voxel=torch.eye(4))
    assert labels_of_bodies(bare, "auto") == labels_of_bodies(bare, None) == {}
    with pytest.raises(InputError, match=r"^bodies need the label map of the CT, it has none$"):
        labels_of_bodies(bare, {"pelvis": (1,)})


def test_labels_may_be_values_or_names_and_come_in_the_order_asked_for() -> None:
    asked: dict[str, Any] = {
        "leg": "femur_left",
        "hips": ("hip_right", 77),
        "other": 25,
        "rest": (),
    }
    found = labels_of_bodies(ct_with(TOTAL_SEGMENTATOR), asked)
    assert list(found.items()) == [("leg", (75,)), ("hips", (77, 78)), ("other", (25,))]


def test_the_rest_is_the_last_body_and_knows_every_bone() -> None:
    parts = parts_of_bodies(ct_with(DEEP_FLUORO), {"a": (2, 1), "b": (5,)})
    assert list(parts.items()) == [
        ("a", CtPart(kind="bones", groups=((1, 2), (5,)))),
        ("b", CtPart(kind="bones", groups=((5,), (1, 2)))),
        ("rest", CtPart(kind="rest", groups=((1, 2), (5,)))),
    ]


def test_labels_by_themselves_are_one_body_amid_the_rest() -> None:
    ct = ct_with(DEEP_FLUORO)
    expected = {
        "ct": CtPart(kind="bones", groups=((2, 5),)),
        "rest": CtPart(kind="rest", groups=((2, 5),)),
    }
    for bodies in (None, "auto"):
        assert parts_of_bodies(ct, bodies, (5, 2, 5)) == expected
    with pytest.raises(InputError, match="render_labels make one body of their own, bodies must"):
        parts_of_bodies(ct, "pelvis", (1,))


@pytest.mark.parametrize(
    ("bodies", "said"),
    [
        ("hips", "bodies must be None, auto, pelvis, or names with the labels .* got 'hips'"),
        ({}, r"bodies must be None, auto, pelvis, or names with the labels .* got \{\}"),
        ({"rest": ()}, "or names with the labels that move together, got"),
        ({"rest": (1,)}, "the body rest must be left to what no other body has, got labels"),
        ({"a": (1,), "rest": 5}, "the body rest must be left to what no other body has"),
        ({"Rest": (1,)}, "the body rest must be left to what no other body has"),
        (("pelvis",), "or names with the labels that move together, got"),
        ({"a": ()}, "body a must name labels of the CT, got none"),
        ({"a": (1, 9)}, r"body a must name labels of the CT \(1 left-hemi.*6 right-femur\), got 9"),
        ({"a": ("skull",)}, r"body a must name labels of the CT \(.*\), got 'skull'"),
        ({"a": (0, 1)}, r"body a must name labels of the CT \(.*\), got 0"),
        ({"a": None}, r"body a must name labels of the CT \(.*\), got None"),
        ({"a": ([1],)}, r"body a must name labels of the CT \(.*\), got \[1\]"),
        ({"a": 1.5}, r"body a must name labels of the CT \(.*\), got 1.5"),
        ({"Hip": (1,), "hip": (2,)}, "must differ in more than their case, got Hip and hip"),
        ({"VIEW-1": (1,)}, "names of bodies must not begin with view-, got 'VIEW-1'"),
        ({"a": (1, 2), "b": (3, 2)}, "bodies must share no label, a and b both have 2"),
        ({"a": (1,), "rest": (2,)}, "the body rest must be left to what no other body has"),
        ({"a/b": (1,)}, "names of bodies must be made of letters, digits, - and _, got 'a/b'"),
        ({"": (1,)}, "names of bodies must be made of letters"),
        ({"-a": (1,)}, "names of bodies must be made of letters"),
        ({7: (1,)}, "names of bodies must be made of letters, digits, - and _, got 7"),
        ({"view-1": (1,)}, "names of bodies must not begin with view-, got 'view-1'"),
    ],
)
def test_bodies_that_cannot_be_are_one_sentence(bodies: Any, said: str) -> None:
    for function in (labels_of_bodies, parts_of_bodies):
        with pytest.raises(InputError, match=f"^.*{said}") as error:
            function(ct_with(DEEP_FLUORO), bodies)
        assert "\n" not in str(error.value)
