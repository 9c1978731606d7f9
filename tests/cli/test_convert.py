from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wsreg import read_camera, read_pose, read_rig
from wsreg.cli.main import main
from wsreg.errors import InputError
from wsreg.geometry.calibration_file import read_calibrations


def convert(*words: object) -> int:
    return main(["convert", *map(str, words)])


@pytest.mark.parametrize("ending", ["json", "tfm", "h5", "yml", "xml", "txt", "csv", "npy"])
def test_a_pose_comes_back_from_every_format(case: Any, tmp_path: Path, ending: str) -> None:
    other, back = tmp_path / f"other.{ending}", tmp_path / "back.json"
    assert convert("pose", case.start, other) == 0
    assert convert("pose", other, back, "--quiet") == 0
    torch.testing.assert_close(read_pose(back), read_pose(case.start), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "name", ["ct_from_camera", "diffdrr-ap-reversed-x", "diffdrr-pa", "diffdrr-ap"]
)
def test_a_pose_comes_back_from_every_convention(case: Any, tmp_path: Path, name: str) -> None:
    other, bare, back = (tmp_path / file for file in ("o.json", "o.npy", "b.json"))
    for file, how in ((other, ()), (bare, ("--pose-convention", name))):
        assert convert("pose", case.start, file, "--to", name, "--ct", case.ct, "--quiet") == 0
        assert convert("pose", file, back, *how, "--ct", case.ct, "--quiet") == 0
        torch.testing.assert_close(read_pose(back), read_pose(case.start), rtol=0, atol=1e-9)
    assert json.loads(other.read_text())["convention"] == name


@pytest.mark.parametrize("ending", ["json", "tfm", "h5", "txt", "csv", "dat"])
@pytest.mark.parametrize("name", ["ct_from_camera", "diffdrr-pa-reversed-x"])
def test_a_file_of_ours_says_what_it_is_and_is_read_so(
    case: Any, tmp_path: Path, ending: str, name: str
) -> None:
    path, back = tmp_path / f"pose.{ending}", tmp_path / "back.json"
    assert convert("pose", case.start, path, "--to", name, "--ct", case.ct, "--quiet") == 0
    assert convert("pose", path, back, "--ct", case.ct, "--quiet") == 0
    torch.testing.assert_close(read_pose(back), read_pose(case.start), rtol=0, atol=1e-9)
    if ending in ("txt", "csv", "dat"):  # for others it is a comment
        separator = "," if ending == "csv" else None
        assert np.loadtxt(path, delimiter=separator).shape == (4, 4)
    with pytest.raises(InputError, match=f"says that its pose is {name}, it cannot be read as"):
        read_pose(path, convention="camera_from_ct")


def test_an_npy_file_cannot_say_what_it_is_so_the_command_does(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert("pose", case.start, tmp_path / "a.npy", "--to", "ct_from_camera") == 0
    assert "read it with --pose-convention ct_from_camera" in capsys.readouterr().out
    assert convert("pose", case.start, tmp_path / "b.npy") == 0
    assert "--pose-convention ct" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a.bmp",), "must end in one of .json"),
        (("a.yml", "--to", "ct_from_camera"), "rvec and tvec are camera_from_ct"),
        (("a.json", "--to", "deepfluoro"), "cannot be written as deepfluoro"),
        (("a.json", "--to", "diffdrr-ap"), "give it (--ct)"),
    ],
)
def test_poses_that_cannot_be_written_are_refused(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: Any, said: str
) -> None:
    out, *more = words
    assert convert("pose", case.start, tmp_path / out, *more) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["yml", "xml"])
def test_a_camera_comes_back_from_opencv(case: Any, tmp_path: Path, ending: str) -> None:
    other, back = tmp_path / f"camera.{ending}", tmp_path / "back.json"
    assert convert("camera", case.camera, other, "--quiet") == 0
    assert convert("camera", other, back, "--quiet") == 0
    found, true = read_camera(back), read_camera(case.camera)
    assert found.source_to_detector_mm == pytest.approx(true.source_to_detector_mm, rel=1e-12)
    assert found.pixel_spacing_mm == pytest.approx(true.pixel_spacing_mm, rel=1e-12)
    assert found.centre_px == pytest.approx(true.centre_px)


def rig_file(tmp_path: Path) -> Path:
    camera = {"source_to_detector_mm": 1000, "rows": 80, "columns": 120, "pixel_spacing_mm": [2, 3]}
    side = [[0, 0, 1, 10.5], [0, 1, 0, -2.25], [-1, 0, 0, 690], [0, 0, 0, 1]]
    front = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 700], [0, 0, 0, 1]]
    views = [{"name": name, "camera": camera, "camera_from_rig": place}
             for name, place in (("ap", front), ("lat", side))]  # fmt: skip
    path = tmp_path / "rig.json"
    path.write_text(json.dumps({"views": views, "units": "mm"}))
    return path


def test_cameras_of_a_biplane_become_a_rig_by_way_of_mayacam(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = read_rig(rig_file(tmp_path))
    for name, view in zip(("ap", "lat"), rig.views, strict=True):
        one = {"views": [{"name": name, "camera_from_rig": view.camera_from_rig.tolist(),
                          "camera": json.loads(rig_file(tmp_path).read_text())["views"][0]
                          ["camera"]}], "units": "mm"}  # fmt: skip
        (tmp_path / f"{name}.json").write_text(json.dumps(one))
        out = ("--out-units", "cm", "--quiet")
        assert convert("camera", tmp_path / f"{name}.json", tmp_path / f"{name}.txt", *out) == 0
    assert "\n120,80\n" in "\n" + (tmp_path / "ap.txt").read_text().replace("image size", "")
    files = (tmp_path / "ap.txt", tmp_path / "lat.txt")
    assert convert("camera", *files, tmp_path / "again.json") == 2
    assert "does not tell the units" in capsys.readouterr().err
    assert convert("camera", *files, tmp_path / "again.json", "--units", "cm") == 0
    assert "note: The image size is read as width,height" in capsys.readouterr().out
    for found, true in zip(read_rig(tmp_path / "again.json").views, rig.views, strict=True):
        assert found.name == true.name
        torch.testing.assert_close(found.camera_from_rig, true.camera_from_rig, rtol=0, atol=1e-9)
        assert found.camera is not None
        assert true.camera is not None
        torch.testing.assert_close(
            found.camera.intrinsic_matrix, true.camera.intrinsic_matrix, rtol=1e-12, atol=1e-9
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("RIG", "a.yml"), "can hold one camera, got 2"),
        (("CAMERA", "a.txt"), "must tell where its camera stands"),
        (("CAMERA", "a.bmp"), "must end in .json"),
        (("CAMERA",), "needs IN and OUT, got 1"),
        (("CAMERA", "CAMERA", "a.json"), "must tell where its camera stands"),
    ],
)
def test_cameras_that_cannot_be_written_are_refused(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: Any, said: str
) -> None:
    known = {"RIG": rig_file(tmp_path), "CAMERA": case.camera}
    assert convert("camera", *(known.get(word, tmp_path / word) for word in words)) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["rig.json"]


def test_a_camera_without_its_distance_keeps_k_alone(tmp_path: Path) -> None:
    fields = {"K": [[500, 0, 60], [0, 400, 40], [0, 0, 1]], "rows": 80, "columns": 120}
    (tmp_path / "k.json").write_text(json.dumps(fields))
    assert convert("camera", tmp_path / "k.json", tmp_path / "k.yml", "--quiet") == 0
    (found,) = read_calibrations(tmp_path / "k.yml")
    assert found.nominal
    assert convert("camera", tmp_path / "k.yml", tmp_path / "c.json", "--quiet") == 2
    words = ("camera", tmp_path / "k.yml", tmp_path / "c.json", "--sdd", 1000, "--quiet")
    assert convert(*words) == 0
    assert np.allclose(read_camera(tmp_path / "c.json").pixel_spacing_mm, (2.5, 2.0))


def test_a_camera_in_metres_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"source_to_detector_mm": 1.4, "rows": 90, "columns": 70,
              "pixel_spacing_mm": [0.003, 0.004], "principal_point_px": [1e5, 44.5]}  # fmt: skip
    (tmp_path / "camera.json").write_text(json.dumps(fields))
    for out in ("b.json", "b.yml"):
        assert convert("camera", tmp_path / "camera.json", tmp_path / out) == 0
        said = capsys.readouterr().out
        assert "Warning: source_to_detector_mm 1.4 is outside" in said
        assert said.count("is it in metres?") == 2
        assert "lies outside of the image of 70 columns and 90 rows" in said
