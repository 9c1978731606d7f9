from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import roma
import SimpleITK
import torch
from PIL import Image

from wsreg.errors import InputError
from wsreg.geometry.itk_transform import write_itk_transform
from wsreg.geometry.pose_file import read_pose
from wsreg.outputs.result_files import read_result, write_result
from wsreg.registration.result import RegistrationResult

MakeResult = Callable[..., RegistrationResult]

FOUR_FILES = {"result.json", "pose.json", "pose.tfm", "overlay.png"}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "patient" / "series"
    folder.mkdir(parents=True)
    (folder / "1.dcm").write_text("abc")
    xray = tmp_path / "patient" / "xray.dcm"
    xray.write_text("abc")
    return {"xray": xray, "ct": folder}


def test_folder_holds_the_four_files(
    make_result: MakeResult, inputs: dict[str, Path], tmp_path: Path
) -> None:
    result = make_result()
    write_result(result, tmp_path / "out", inputs=inputs, notes=("The file gave the camera.",))
    assert set(os.listdir(tmp_path / "out")) == FOUR_FILES
    assert json.loads((tmp_path / "out" / "pose.json").read_text()) == {
        "camera_from_ct": result.camera_from_ct.tolist(),
        "frame": "LPS",
        "units": "mm",
    }
    with Image.open(tmp_path / "out" / "overlay.png") as picture:
        assert picture.format == "PNG"


def test_result_json_says_what_the_contract_asks(
    make_result: MakeResult, inputs: dict[str, Path], tmp_path: Path
) -> None:
    write_result(make_result(), tmp_path / "out", inputs=inputs, notes=("A note.",))
    content = read_result(tmp_path / "out")
    assert content["schema_version"] == "2"
    assert content["verdict"] == {
        "status": "pass",
        "reasons": ["The starts agree.", "It rose by 0.5."],
    }
    assert content["camera_from_ct"][2] == pytest.approx([0.0, 1.0, 0.0, 700.0], abs=1e-12)
    assert content["camera"] == {
        "source_to_detector_mm": 1000.0,
        "rows": 48,
        "columns": 64,
        "pixel_spacing_mm": [1.0, 1.0],
        "principal_point_px": [31.5, 23.5],
    }
    assert content["similarity"] == {"start": 0.4, "end": 0.9}
    assert content["iterations"] == 12
    assert content["renders"] == 30
    assert content["seconds"] == {"refine": 0.4, "total": 0.5}
    assert content["pivot_mm"] == [0.0, 10.0, 0.0]
    assert content["config"] == {"levels": [4, 2, 1], "damping": 1e-3}
    assert content["notes"] == ["A note."]
    assert (content["method"], content["init"], content["backend"]) == (
        "gauss-newton",
        "pose",
        "reference",
    )
    assert set(content["versions"]) == {"wsreg", "torch", "python"}


def test_inputs_are_named_and_hashed_without_their_path(
    make_result: MakeResult, inputs: dict[str, Path], tmp_path: Path
) -> None:
    write_result(make_result(), tmp_path / "out", inputs=inputs)
    written = read_result(tmp_path / "out")["inputs"]
    assert written["xray"]["name"] == "xray.dcm"
    assert written["xray"]["sha256"].startswith("ba7816bf8f01cfea")
    assert written["ct"]["name"] == "series"
    assert str(tmp_path) not in (tmp_path / "out" / "result.json").read_text()


def test_nothing_is_written_when_an_input_is_gone(make_result: MakeResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        write_result(make_result(), tmp_path / "out", inputs={"ct": tmp_path / "gone.nii"})
    assert os.listdir(tmp_path) == []


def test_writing_again_replaces_only_our_files(make_result: MakeResult, tmp_path: Path) -> None:
    write_result(make_result(), tmp_path / "out", inputs={})
    (tmp_path / "out" / "mine.txt").write_text("keep")
    write_result(make_result(similarity_end=0.95), tmp_path / "out", inputs={})
    assert read_result(tmp_path / "out")["similarity"]["end"] == 0.95
    assert (tmp_path / "out" / "mine.txt").read_text() == "keep"
    assert len(os.listdir(tmp_path / "out")) == 5


def test_bodies_and_views_have_poses_of_their_own(
    two_of_each: RegistrationResult, tmp_path: Path
) -> None:
    files = write_result(two_of_each, tmp_path / "out", inputs={})
    assert sorted(files) == sorted(os.listdir(tmp_path / "out"))
    assert set(files) == {
        "result.json",
        "overlay.png",
        *(f"{name}.{ending}" for name in ("pose", "pose-pelvis", "pose-left-femur")
          for ending in ("json", "tfm")),
        "pose-view-lateral.json",
    }  # fmt: skip

    def origin(name: str) -> list[float]:
        return read_pose(tmp_path / "out" / name)[:3, 3].tolist()

    assert origin("pose.json") == origin("pose-pelvis.json") == [1.0, 2.0, 700.0]
    assert origin("pose-left-femur.json") == [6.0, 2.0, 700.0]
    assert origin("pose-view-lateral.json") == [1.0, 2.0, 800.0]
    transform = SimpleITK.ReadTransform(str(tmp_path / "out" / "pose-left-femur.tfm"))
    assert transform.TransformPoint((0.0, 0.0, 0.0)) == (6.0, 2.0, 700.0)


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (("a", "view-2"), {"pose-view-2.json"}),
        (("xray", "xray", "xray"), {"pose-view-xray-2.json", "pose-view-xray-3.json"}),
        (("a", "../b c"), {"pose-view-.._b_c.json"}),
    ],
)
def test_any_names_of_views_make_files(
    two_of_each: RegistrationResult, tmp_path: Path, names: tuple[str, ...], files: set[str]
) -> None:
    view = two_of_each.views[0]
    views = tuple(dataclasses.replace(view, name=name) for name in names)
    write_result(dataclasses.replace(two_of_each, views=views), tmp_path / "out", inputs={})
    assert {f for f in os.listdir(tmp_path / "out") if f.startswith("pose-view")} == files


def test_poses_of_an_earlier_result_go_and_those_of_the_user_stay(
    make_result: MakeResult, two_of_each: RegistrationResult, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_result(two_of_each, out, inputs={})
    (out / "pose-start.json").write_text("mine")
    pelvis = {"pelvis": two_of_each.bodies["pelvis"]}
    femur = {"right-femur": two_of_each.bodies["left-femur"]}
    write_result(dataclasses.replace(two_of_each, bodies=pelvis | femur), out, inputs={})
    left = {name for name in os.listdir(out) if name.startswith("pose-")}
    assert "pose-right-femur.tfm" in left
    assert not {"pose-left-femur.json", "pose-left-femur.tfm"} & left
    write_result(make_result(), out, inputs={})
    assert set(os.listdir(out)) == {*FOUR_FILES, "pose-start.json"}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1]",
        '{"schema_version": "2", "files": ["pose-rest.json"]}',
        '{"schema_version": ["2"]}',
        '{"schema_version": "1", "config": null, "inputs": {"xray": "a.png"}, "files": 5}',
    ],
)
def test_a_result_json_of_another_kind_does_not_stop_a_write(
    make_result: MakeResult, tmp_path: Path, content: str
) -> None:
    (tmp_path / "result.json").write_text(content)
    (tmp_path / "pose-rest.json").write_text("mine")
    write_result(make_result(), tmp_path, inputs={})
    assert set(os.listdir(tmp_path)) == {*FOUR_FILES, "pose-rest.json"}
    assert read_result(tmp_path)["verdict"]["status"] == "pass"


def test_an_earlier_result_cannot_name_other_files_to_be_removed(
    make_result: MakeResult, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_result(make_result(), out, inputs={})
    content = json.loads((out / "result.json").read_text())
    content["files"] += ["mine.txt", "../pose-mine.json", "pose-.json/../mine.txt", 7]
    (out / "result.json").write_text(json.dumps(content))
    (out / "mine.txt").write_text("")
    (tmp_path / "pose-mine.json").write_text("")
    write_result(make_result(), out, inputs={})
    assert (out / "mine.txt").exists()
    assert (tmp_path / "pose-mine.json").exists()


ROTATION_VECTORS = [
    (0.0, 0.0, 0.0),
    (1e-9, 0.0, 0.0),
    (0.3, -1.2, 0.7),
    (math.pi / 2, 0.0, 0.0),
    (0.0, math.pi / 2, 0.0),
    (math.pi, 0.0, 0.0),
    (0.0, math.pi, 0.0),
    (0.0, 0.0, math.pi),
    (math.pi / math.sqrt(2), 0.0, math.pi / math.sqrt(2)),
]


@pytest.mark.parametrize("vector", ROTATION_VECTORS)
def test_itk_transform_maps_ct_points_to_camera_points(
    vector: tuple[float, float, float], tmp_path: Path
) -> None:
    camera_from_ct = torch.eye(4, dtype=torch.float64)
    camera_from_ct[:3, :3] = roma.rotvec_to_rotmat(torch.tensor(vector, dtype=torch.float64))
    camera_from_ct[:3, 3] = torch.tensor([12.25, -340.5, 812.125])
    write_itk_transform(camera_from_ct, tmp_path / "pose.tfm")
    transform = SimpleITK.ReadTransform(str(tmp_path / "pose.tfm"))
    for point in ((0.0, 0.0, 0.0), (100.0, -50.0, 25.0), (-371.3, 8.1, -1200.7)):
        homogeneous = torch.tensor([*point, 1.0], dtype=torch.float64)
        expected = (camera_from_ct @ homogeneous)[:3].tolist()
        assert transform.TransformPoint(point) == pytest.approx(expected, abs=1e-9)


def test_itk_transform_by_hand(tmp_path: Path) -> None:
    quarter_turn_about_z = torch.tensor(
        [[0.0, -1.0, 0.0, 5.0], [1.0, 0.0, 0.0, 6.0], [0.0, 0.0, 1.0, 700.0], [0.0, 0.0, 0.0, 1.0]]
    )
    write_itk_transform(quarter_turn_about_z, tmp_path / "pose.tfm")
    transform = SimpleITK.ReadTransform(str(tmp_path / "pose.tfm"))
    assert transform.TransformPoint((10.0, 20.0, 30.0)) == (-15.0, 16.0, 730.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be valid JSON"),
        ("[]", "schema_version"),
        ('{"schema_version": "3"}', 'schema_version "2" or "1", got \'3\''),
        ('{"schema_version": "1", "verdict": {}}', "lacks camera_from_ct, pivot_mm"),
    ],
)
def test_read_result_refuses_other_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_result(tmp_path)


def test_read_result_needs_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"result\.json does not exist"):
        read_result(tmp_path)
