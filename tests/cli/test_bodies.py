"""--bodies: presets, names with labels, a file; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from wsreg import InputError
from wsreg.cli.bodies import AskedBodies, bodies_file, parse_bodies
from wsreg.cli.options import CtDetails
from wsreg.cli.register import Register
from wsreg.cli.solver import Solver
from wsreg.rendering.prepared import VOXEL_SIZES_MM, PreparedCt
from wsreg.vocabulary import Method
from wsreg.volumes.parts import CtPart
from wsreg.volumes.region_names import labels_of_region

STRUCTURES = "pelvis=hip_left,hip_right,sacrum"


@pytest.mark.parametrize(
    ("word", "bodies"), [("auto", "auto"), ("pelvis", "pelvis"), ("none", None)]
)
def test_presets(word: str, bodies: str | None) -> None:
    assert parse_bodies([word]).bodies == bodies


def test_names_with_values_and_names_of_labels() -> None:
    asked = parse_bodies(["pelvis=hip_left, 3,sacrum", "left-femur=75"])
    assert asked.bodies == {"pelvis": ["hip_left", 3, "sacrum"], "left-femur": [75]}
    assert asked.joints_mm == {}


def test_a_file_may_tell_joints(tmp_path: Path) -> None:
    file = tmp_path / "bodies.JSON"
    femur = {"labels": ["femur_left", "75"], "joint_mm": [1, 2.5, -3]}
    file.write_text(json.dumps({"pelvis": [1, 2], "left-femur": femur}))
    asked = parse_bodies([str(file)])
    assert asked.bodies == {"pelvis": [1, 2], "left-femur": ["femur_left", 75]}
    assert asked.joints_mm == {"left-femur": (1.0, 2.5, -3.0)}
    assert bodies_file([str(file)]) == file
    assert bodies_file(["a=b.json"]) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "got nothing"),
        (["skull"], "must be auto, pelvis, none, NAME=LABEL,LABEL ... or a .json file, got skull"),
        (["pelvis=1", "auto"], "got pelvis=1 auto"),
        (["pelvis=1", "femur=2", "pelvis=3"], "name each body once, got pelvis repeatedly"),
        (["absent.json"], "absent.json does not exist"),
    ],
)
def test_words_that_say_nothing_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(InputError) as error:
        parse_bodies(words)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "must hold a JSON object, got list"),
        ({"pelvis": 3}, "body pelvis must be a list of label values or names, got 3"),
        ({"pelvis": [True]}, r"must be a list of label values or names, got \[True\]"),
        ({"pelvis": {"joint_mm": [0, 0, 0]}}, "body pelvis lacks labels"),
        ({"pelvis": {"labels": [1], "joint": [0, 0, 0]}}, "body pelvis has unknown fields joint;"),
        ({"femur": {"labels": [1], "joint_mm": [0, 0]}}, r"joint_mm must be three numbers \(LPS"),
        ({"femur": {"labels": [1], "joint_mm": [0, 0, "1"]}}, "joint_mm must be three numbers"),
    ],
)
def test_files_that_say_nothing_are_refused(content: Any, said: str, tmp_path: Path) -> None:
    file = tmp_path / "bodies.json"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=said):
        parse_bodies([str(file)])


def test_a_file_that_names_a_body_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bodies.json"
    file.write_text('{"pelvis": [1], "pelvis": [2]}')
    with pytest.raises(InputError, match=r"bodies\.json .*: pelvis repeatedly"):
        parse_bodies([str(file)])


def result_of(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "result.json").read_text())
    return content


def labelled(case: Any) -> tuple[object, ...]:
    return "--labels", case.labels, "--label-names", case.label_names


def test_bodies_asked_for_have_poses_and_verdicts(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The phantom's X-ray shows no movement; the second run is of one body again."""
    out = tmp_path / "out"
    bodies = ("--bodies", STRUCTURES, "left-femur=femur_left")
    assert case.register(*labelled(case), *bodies, out=out) == 0
    result = result_of(out)
    names = {name: value for value, name in json.loads(case.label_names.read_text()).items()}
    assert list(result["bodies"]) == ["pelvis", "left-femur", "rest"]
    assert result["bodies"]["left-femur"]["labels"] == [int(names["femur_left"])]
    assert result["camera_from_ct"] == result["bodies"]["pelvis"]["camera_from_ct"]
    assert {"pose-left-femur.json", "pose-left-femur.tfm", "pose-rest.tfm"} < set(result["files"])
    table = {words[0]: words[1:] for words in map(str.split, capsys.readouterr().out.splitlines())}
    assert table["pelvis"][0] == "PASS"
    assert len(table["pelvis"]) == 2, "a verdict and what shows: the first moves against none"
    turned_deg, _, moved_mm, _, shown = table["left-femur"][1:]
    assert float(turned_deg) < 3.0
    assert float(moved_mm) < 1.0
    assert shown.endswith("%")

    assert case.register(*labelled(case), "--bodies", "none", "--quiet", "--force", out=out) == 0
    assert list(result_of(out)["bodies"]) == ["ct"]
    assert {path.name for path in out.iterdir()} == set(result_of(out)["files"])


def test_auto_is_the_preset_where_labels_have_the_names(case: Any, tmp_path: Path) -> None:
    assert case.register(*labelled(case), "--quiet", out=tmp_path / "out") == 0
    assert list(result_of(tmp_path / "out")["bodies"]) == [
        "pelvis", "left-femur", "right-femur", "rest",
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["gauss-newton", "adam"])
def test_what_is_prepared_while_the_solver_loads_is_what_it_will_render(
    case: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Method
) -> None:
    prepared: list[CtPart] = []

    def levels(ct: PreparedCt, sizes_mm: Sequence[float | None], part: CtPart) -> None:
        assert sizes_mm == VOXEL_SIZES_MM
        prepared.append(part)

    monkeypatch.setattr(PreparedCt, "levels", levels)
    command = Register(
        xrays=(case.xray,), ct=case.ct, out=tmp_path / "out",
        ct_details=CtDetails(labels=case.labels, label_names=case.label_names),
        solver=Solver(method=method),
    )  # fmt: skip
    hip = AskedBodies(bodies={"hip": ["hip_left"]})
    ct, _ = command.prepared_ct(hip)
    assert [part.kind for part in prepared] == ["bones", "rest"]
    assert prepared[0].groups == (labels_of_region("hip_left", ct.volume),)
    prepared.clear()
    command.prepared_ct(AskedBodies(bodies="auto"))
    preset = ["bones", "bones", "bones", "rest"]
    assert [part.kind for part in prepared] == (["whole"] if method == "adam" else preset)


def test_a_joint_that_is_given_is_where_the_body_turns(case: Any, tmp_path: Path) -> None:
    file = tmp_path / "bodies.json"
    joint_mm = [90.0, 0.0, -100.0]
    femur = {"labels": ["femur_left"], "joint_mm": joint_mm}
    file.write_text(json.dumps({"pelvis": ["hip_left", "hip_right", "sacrum"], "leg": femur}))
    out = tmp_path / "out"
    assert case.register(*labelled(case), "--bodies", file, "--quiet", out=out) == 0
    result = result_of(out)
    assert result["bodies"]["leg"]["pivot_mm"] == joint_mm
    assert result["inputs"]["bodies"]["name"] == "bodies.json"


@pytest.mark.parametrize(
    ("bodies", "said"),
    [
        (("pelvis=hip_left,skul",), "body pelvis must name labels of the CT"),
        (("pelvis=",), "body pelvis must name labels of the CT"),
        (("pelvis=hip_left", "leg=hip_left"), "bodies must share no label, pelvis and leg both"),
        (("a/b=hip_left",), "names of bodies must be made of letters"),
        (("view-1=hip_left",), "names of bodies must not begin with view-"),
        (("rest=hip_left",), "the body rest must be left to what no other body has"),
        (("Hip=hip_left", "hip=hip_right"), "must differ in more than their case"),
    ],
)
def test_bodies_that_cannot_be_are_one_sentence(
    case: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    bodies: tuple[str, ...],
    said: str,
) -> None:
    assert case.register(*labelled(case), "--bodies", *bodies, out=tmp_path / "out") == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_bodies_need_labels(case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert case.register("--bodies", "pelvis", out=tmp_path / "out") == 2
    assert "bodies" in capsys.readouterr().err.splitlines()[-1]
    both = (*labelled(case), "--render-labels", "sacrum", "--bodies", STRUCTURES)
    assert case.register(*both, out=tmp_path / "out") == 2
    assert "render_labels make one body" in capsys.readouterr().err.splitlines()[-1]
