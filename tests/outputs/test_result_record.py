"""result.json's values, and what is made of those of an older schema."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from wsreg.errors import InputError
from wsreg.outputs.result_record import in_todays_form
from wsreg.registration.result import RegistrationResult
from wsreg.registration.result_record import result_to_dict, standard_deviation_to_dict

MakeResult = Callable[..., RegistrationResult]

IDENTITY = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]

SCHEMA_1 = {
    "schema_version": "1",
    "verdict": {"status": "pass", "reasons": ["It rose."]},
    "camera_from_ct": [[1.0, 0.0, 0.0, 5.0], *IDENTITY[1:]],
    "frame": "LPS",
    "units": "mm",
    "pivot_mm": [0.0, 10.0, 0.0],
    "camera": {"source_to_detector_mm": 1000.0, "rows": 48, "columns": 64},
    "similarity": {"start": 0.4, "end": 0.9},
    "standard_deviation": {"about": "pivot_mm, in the camera frame", "weakest": "depth (tz)"},
    "config": {"render_labels": [3, 4]},
    "inputs": {"xray": {"name": "hip.nii.gz", "sha256": "0"}},
}


def test_standard_deviation_in_degrees_and_mm_names_the_depth() -> None:
    deviation = torch.tensor(
        [math.pi / 180, math.pi / 90, math.pi / 60, 0.1, 0.2, 2.5], dtype=torch.float64
    )
    content = standard_deviation_to_dict(deviation)
    assert content["rotation_deg"] == pytest.approx({"rx": 1.0, "ry": 2.0, "rz": 3.0})
    assert content["translation_mm"] == {"tx": 0.1, "ty": 0.2, "tz": 2.5}
    assert content["weakest"] == "depth (tz)"
    deviation[4] = math.nan
    assert "(ty)" in standard_deviation_to_dict(deviation)["weakest"]


def test_numbers_that_are_not_finite_become_null(make_result: MakeResult) -> None:
    result = make_result(
        similarity_start=math.nan,
        standard_deviation=torch.full((6,), math.inf, dtype=torch.float64),
    )
    content = json.loads(json.dumps(result_to_dict(result), allow_nan=False))
    assert content["similarity"] == {"start": None, "end": 0.9}
    assert content["standard_deviation"]["translation_mm"]["tz"] is None


def test_bodies_and_views(two_of_each: RegistrationResult) -> None:
    content = result_to_dict(two_of_each)
    assert list(content["bodies"]) == ["pelvis", "left-femur"]
    pelvis, femur = content["bodies"].values()
    assert pelvis["camera_from_ct"] == content["camera_from_ct"]
    assert pelvis["verdict"] == content["verdict"]
    assert pelvis["standard_deviation"] == content["standard_deviation"]
    assert femur["labels"] == [5]
    assert femur["camera_from_ct"][0][3] == 6.0
    assert femur["pivot_mm"] == [1.0, 2.0, 3.0]
    assert femur["verdict"] == {"status": "check", "reasons": ["The X-ray shows 10% of it."]}
    assert femur["standard_deviation"]["rotation_deg"] == {"rx": None, "ry": None, "rz": None}
    assert femur["shown"] == 0.1
    frontal, lateral = content["views"]
    assert (frontal["xray"], lateral["xray"]) == ("frontal", "lateral")
    assert frontal["camera"] == lateral["camera"] == content["camera"]
    assert frontal["camera_from_rig"] == IDENTITY
    assert [row[3] for row in lateral["camera_from_rig"]] == [0.0, 0.0, 100.0, 1.0]
    assert lateral["similarity"] == {"start": 0.1, "end": 0.8}
    assert lateral["orientation"] == "none"


def test_todays_form_is_left_as_it_is(two_of_each: RegistrationResult) -> None:
    content = result_to_dict(two_of_each)
    assert in_todays_form(content, "result.json") is content


def test_schema_1_is_one_body_in_one_view() -> None:
    content = in_todays_form(SCHEMA_1, "result.json")
    assert content["bodies"] == {
        "ct": {
            "labels": [3, 4],
            "camera_from_ct": SCHEMA_1["camera_from_ct"],
            "pivot_mm": [0.0, 10.0, 0.0],
            "standard_deviation": SCHEMA_1["standard_deviation"],
            "verdict": {"status": "pass", "reasons": ["It rose."]},
            "shown": None,
        }
    }
    assert content["views"] == [
        {
            "xray": "hip",
            "camera": SCHEMA_1["camera"],
            "camera_from_rig": IDENTITY,
            "similarity": {"start": 0.4, "end": 0.9},
            "orientation": "none",
        }
    ]
    assert content["schema_version"] == "2"
    assert {name: content[name] for name in SCHEMA_1 if name != "schema_version"} == {
        name: value for name, value in SCHEMA_1.items() if name != "schema_version"
    }
    bare = {name: SCHEMA_1[name] for name in SCHEMA_1 if name not in ("config", "inputs")}
    assert in_todays_form(bare, "result.json")["views"][0]["xray"] == "xray"


def test_an_older_result_and_todays_say_the_same_of_body_and_view(make_result: MakeResult) -> None:
    today = result_to_dict(make_result())
    older = {name: value for name, value in today.items() if name not in ("bodies", "views")}
    read = in_todays_form({**older, "schema_version": "1"}, "result.json")
    read["bodies"]["ct"]["shown"] = 1.0
    assert {"bodies": read["bodies"], "views": read["views"]} == {
        "bodies": today["bodies"],
        "views": today["views"],
    }


def test_a_schema_to_come_is_refused() -> None:
    with pytest.raises(InputError, match='must have schema_version "2" or "1", got None'):
        in_todays_form({}, "a.json")


@pytest.mark.parametrize("schema", ["1", "2"])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"config": None}, "a.json must have an object as config, got None"),
        ({"inputs": ["hip.png"]}, "a.json must have an object as inputs, got ['hip.png']"),
        ({"verdict": "pass"}, "a.json must have an object as verdict, got 'pass'"),
        ({"files": "pose.json"}, "a.json must have a list as files, got 'pose.json'"),
    ],
)
def test_fields_of_another_kind_are_one_sentence(
    schema: str, changed: dict[str, Any], said: str
) -> None:
    today = {"bodies": {}, "views": [], "schema_version": schema}
    with pytest.raises(InputError) as error:
        in_todays_form({**SCHEMA_1, **today, **changed}, "a.json")
    assert str(error.value) == said


def test_a_result_without_bodies_or_views_is_refused(two_of_each: RegistrationResult) -> None:
    content = result_to_dict(two_of_each)
    bare = {name: value for name, value in content.items() if name not in ("bodies", "views")}
    with pytest.raises(InputError, match=r"^a\.json lacks bodies, views$"):
        in_todays_form(bare, "a.json")
    with pytest.raises(InputError, match=r"^a\.json must have a list as views, got \{\}$"):
        in_todays_form({**content, "views": {}}, "a.json")


@pytest.mark.parametrize("xray", ["hip.png", None, ["hip.png"], {}])
def test_an_x_ray_of_another_form_has_no_name(xray: object) -> None:
    content = in_todays_form({**SCHEMA_1, "inputs": {"xray": xray}}, "a.json")
    assert content["views"][0]["xray"] == "xray"
