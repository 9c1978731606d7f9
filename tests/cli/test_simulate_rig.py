from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from wsreg import read_camera, read_pose, read_rig, render
from wsreg.cli.main import main
from wsreg.geometry.rig import orbit_rig
from wsreg.geometry.rig_file import rig_record
from wsreg.volumes.phantom import analytic_phantom


def run(*words: object) -> int:
    return main(["simulate", *map(str, words), "--quiet"])


def attenuation(folder: Path) -> np.ndarray:
    with Image.open(folder / "xray.png") as image:
        return -np.log((np.asarray(image) + 1.0) / 65487.0)


def correlation(folder: Path, case: Any, pose: Tensor) -> float:
    shown = render(analytic_phantom(), read_camera(case.camera), pose).numpy()
    return float(np.corrcoef(np.stack((attenuation(folder).ravel(), shown.ravel())))[0, 1])


@pytest.fixture(scope="module")
def rig_path(case: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rig") / "rig.json"
    words = ("--angle", 60, "--distance-to-isocentre", 720, "--names", "AP", "OBL")
    assert run("rig", "--camera", case.camera, "--out", path, *words) == 0
    return path


def test_the_rig_is_that_of_a_turned_c_arm(case: Any, rig_path: Path) -> None:
    camera = read_camera(case.camera)
    expected = orbit_rig(
        camera, angle_rad=math.pi / 3, source_to_isocentre_mm=720.0, names=("AP", "OBL")
    )
    for view, wanted in zip(read_rig(rig_path).views, expected.views, strict=True):
        assert (view.name, view.camera) == (wanted.name, wanted.camera)
        torch.testing.assert_close(view.camera_from_rig, wanted.camera_from_rig)


def test_left_alone_it_turns_by_a_right_angle_where_the_ct_is_put(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", "rig", "--camera", str(case.camera), "--out", str(tmp_path / "rig.json")]
    assert main(words) == 0
    assert "rig.json: view-1 and view-2, 90 degrees apart" in capsys.readouterr().out
    second = read_rig(tmp_path / "rig.json").views[1].camera_from_rig
    expected = [[0, 0, 1, -714.0], [0, 1, 0, 0], [-1, 0, 0, 714.0], [0, 0, 0, 1]]
    torch.testing.assert_close(second, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--angle", "nan"), "angle_rad must be finite"),
        (("--distance-to-isocentre", "1020"), "must be over 0 and below"),
        (("--names", "a", "a"), "names of their own, got a repeatedly"),
    ],
)
def test_a_rig_that_cannot_be_is_not_written(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: Any, said: str
) -> None:
    out = tmp_path / "rig.json"
    assert run("rig", "--camera", case.camera, "--out", out, *more) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_rig_is_not_replaced_unasked(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rig.json"
    out.write_text("mine")
    assert run("rig", "--camera", case.camera, "--out", out) == 2
    assert "pass --force" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert run("rig", "--camera", case.camera, "--out", out, "--force") == 0
    assert len(read_rig(out).views) == 2


def test_the_second_x_ray_shows_the_ct_at_the_composed_pose(
    case: Any, rig_path: Path, tmp_path: Path
) -> None:
    pose_file = tmp_path / "pose.json"
    pose_file.write_text(
        json.dumps({"camera_from_ct": case.true_pose.tolist(), "frame": "LPS", "units": "mm"})
    )
    # the first camera stands away from the rig's origin here
    fields = rig_record(read_rig(rig_path))
    turn = np.diag([-1.0, 1.0, -1.0, 1.0])
    turn[:3, 3] = (30.0, 40.0, 50.0)
    for view in fields["views"]:
        view["camera_from_rig"] = (np.asarray(view["camera_from_rig"]) @ turn).tolist()
    moved = tmp_path / "rig.json"
    moved.write_text(json.dumps(fields))
    first, second = (np.asarray(view["camera_from_rig"]) for view in fields["views"])
    composed = torch.from_numpy(second @ np.linalg.inv(first) @ case.true_pose.numpy())
    for name, pose in (("AP", case.true_pose), ("OBL", composed)):
        out = tmp_path / name
        words = ("--rig", moved, "--rig-view", name, "--pose", pose_file)
        assert run("xray", "--ct", case.ct, "--out", out, *words) == 0
        torch.testing.assert_close(read_pose(out / "pose.json"), pose)
        assert read_camera(out / "camera.json") == read_camera(case.camera)
        assert correlation(out, case, pose) > 0.95
    assert correlation(tmp_path / "OBL", case, case.true_pose) < 0.9


def test_without_a_pose_the_ct_is_where_the_axes_cross(
    case: Any, rig_path: Path, tmp_path: Path
) -> None:
    centre = torch.cat((analytic_phantom().centre_mm, torch.ones(1, dtype=torch.float64)))
    for name in ("AP", "OBL"):
        out = tmp_path / name
        words = ("--rig", rig_path, "--rig-view", name, "--view", "AP")
        assert run("xray", "--ct", case.ct, "--out", out, *words) == 0
        seen = read_pose(out / "pose.json") @ centre
        torch.testing.assert_close(
            seen[:3], torch.tensor([0.0, 0.0, 720.0], dtype=torch.float64), rtol=0.0, atol=1e-4
        )


def write(path: Path, fields: Any) -> Path:
    path.write_text(json.dumps(fields))
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--camera or --rig must be given, one of the two, got neither"),
        (("--camera", "CAMERA", "--rig", "RIG", "--rig-view", "AP"), "one of the two, got both"),
        (("--rig", "RIG"), "--rig and --rig-view must be given together"),
        (("--camera", "CAMERA", "--rig-view", "AP"), "--rig and --rig-view must be given together"),
        (
            ("--rig", "RIG", "--rig-view", "LAT"),
            "--rig-view must be one of the rig's views AP, OBL, got 'LAT'",
        ),
        (("--rig", "BARE", "--rig-view", "OBL"), "rig view 'OBL' must have a camera"),
        (("--rig", "BARE", "--rig-view", "AP"), "rig view 'OBL' must have a camera"),
        (
            ("--rig", "PAST", "--rig-view", "OBL"),
            "in rig view 'OBL', pose camera_from_ct must place the CT where it casts a shadow",
        ),
        (
            ("--rig", "PAST", "--rig-view", "AP"),
            "in rig view 'AP', pose camera_from_ct must place the CT where it casts a shadow",
        ),
        (("--rig", "RIG", "--rig-view", "OBL", "--pose", "METRES"), "looks like metres"),
    ],
)
def test_bad_input_writes_nothing(
    case: Any,
    rig_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    fields = rig_record(read_rig(rig_path))
    metres = case.true_pose.clone()
    metres[:3, 3] /= 1000.0
    bare = json.loads(json.dumps(fields))
    del bare["views"][1]["camera"]
    past = json.loads(json.dumps(fields))
    past["views"][1]["camera_from_rig"][1][3] += 1500.0  # its axis passes the first one's
    names: dict[str, Path] = {
        "CAMERA": case.camera,
        "RIG": rig_path,
        "BARE": write(tmp_path / "bare.json", bare),
        "PAST": write(tmp_path / "past.json", past),
        "METRES": write(
            tmp_path / "metres.json",
            {"camera_from_ct": metres.tolist(), "frame": "LPS", "units": "mm"},
        ),
    }
    out = tmp_path / "out"
    assert run("xray", "--ct", case.ct, "--out", out, *(names.get(w, w) for w in words)) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()
