from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any, get_args

import nibabel
import numpy as np
import pytest
import torch

from wsreg import InputError, RegistrationConfig, read_pose
from wsreg.cli.main import main
from wsreg.cli.regions import Regions
from wsreg.cli.register import result_folders
from wsreg.cli.solver import Solver, registration_config
from wsreg.registration.verdict.calibration import CalibrationTolerance
from wsreg.vocabulary import SimilarityName

RESULT_FILES = {"result.json", "pose.json", "pose.tfm", "overlay.png"}


def test_one_x_ray_puts_its_result_into_the_folder_itself(case: Any, registered: Path) -> None:
    assert {path.name for path in registered.iterdir()} == RESULT_FILES
    result = json.loads((registered / "result.json").read_text())
    assert set(result["inputs"]) == {"xray", "ct", "camera", "init"}
    assert result["init"] == "pose"
    middle = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    apart = (read_pose(registered / "pose.json") - case.true_pose) @ middle
    assert float(apart[:2].norm()) < 0.5
    assert float(apart[2].abs()) < 3.0


def test_a_cone_beam_ct_is_registered_as_asked(case: Any, tmp_path: Path) -> None:
    image = nibabel.load(case.ct)
    greys = np.rint(np.asarray(image.dataobj) * 0.6 + 950).astype(np.uint16)
    nibabel.save(nibabel.Nifti1Image(greys, image.affine), tmp_path / "cbct.nii.gz")
    cbct = dataclasses.replace(case, ct=tmp_path / "cbct.nii.gz")
    assert cbct.register(out=tmp_path / "out") == 2
    assert not (tmp_path / "out").exists()
    assert cbct.register("--ct-intensity", "cbct", out=tmp_path / "out") == 0
    middle = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    apart = (read_pose(tmp_path / "out" / "pose.json") - case.true_pose) @ middle
    assert float(apart[:2].norm()) < 0.5
    assert float(apart[2].abs()) < 3.0
    notes = json.loads((tmp_path / "out" / "result.json").read_text())["notes"]
    assert any("350 is air" in note for note in notes)


def test_says_verdict_similarity_time_and_where_the_files_are(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ("--labels", case.labels, "--label-names", case.label_names)
    bones = ("--render-labels", "hip_left", "hip_right", "sacrum")
    assert case.register(*labels, *bones, out=tmp_path / "out") in (0, 1)
    said = capsys.readouterr().out
    for part in ("xray: ", "similarity", "->", "renderings", "depth", str(tmp_path / "out")):
        assert part in said
    assert "note: source_to_detector_mm 1020.0 comes from the camera file." in said
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    names = json.loads(case.label_names.read_text())
    chosen = {names[str(value)] for value in result["config"]["render_labels"]}
    assert chosen == {"hip_left", "hip_right", "sacrum"}


def test_batch_goes_on_past_a_bad_x_ray(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    constant = tmp_path / "constant.npy"
    np.save(constant, np.ones((96, 96)))
    out = tmp_path / "out"
    status = case.register("--quiet", out=out, xrays=(constant, case.xray))
    assert status == 1
    assert {path.name for path in out.iterdir()} == {"xray", "summary.csv", "register.journal"}
    assert {path.name for path in (out / "xray").iterdir()} == RESULT_FILES
    with (out / "summary.csv").open(newline="") as file:
        failed, good = csv.DictReader(file)
    assert (failed["name"], failed["verdict"]) == ("constant", "")
    assert "constant" in failed["error"]
    assert good["name"] == "xray"
    assert good["verdict"] in ("pass", "check")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"wsreg: error: {failed['error']}\n"


def test_workers_register_a_batch_as_one_process_does(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    constant, again = tmp_path / "constant.npy", tmp_path / "again.npy"
    np.save(constant, np.ones((96, 96)))
    shutil.copy(case.xray, again)
    xrays = (case.xray, constant, again)
    assert case.register(out=tmp_path / "here", xrays=xrays) == 1
    here = capsys.readouterr()
    assert case.register("--scheduler", "local", out=tmp_path / "there", xrays=xrays) == 1
    there = capsys.readouterr()
    for name in ("xray", "again"):
        poses = [(tmp_path / out / name / "pose.json").read_bytes() for out in ("here", "there")]
        assert poses[0] == poses[1]
        assert {path.name for path in (tmp_path / "there" / name).iterdir()} == RESULT_FILES
    tables = []
    for out in ("here", "there"):
        with (tmp_path / out / "summary.csv").open(newline="") as file:
            tables.append([{**row, "seconds": ""} for row in csv.DictReader(file)])
    assert tables[0] == tables[1]
    assert there.out.count("similarity") == here.out.count("similarity") > 0
    assert f"wsreg: error: {tables[0][1]['error']}" in there.err


def test_a_verdict_of_fail_is_status_1_and_is_written(case: Any, tmp_path: Path) -> None:
    noise = tmp_path / "noise.npy"
    np.save(noise, np.random.default_rng(0).uniform(1.0, 2.0, (96, 96)))
    out = tmp_path / "out"
    assert case.register("--quiet", "--intensity", "attenuation", out=out, xrays=(noise,)) == 1
    result = json.loads((out / "result.json").read_text())
    assert result["verdict"]["status"] == "fail"


def test_results_are_replaced_only_with_force(
    case: Any, registered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(registered, out)
    before = (out / "result.json").read_text()
    assert case.register("--quiet", out=out) == 2
    assert "--force" in capsys.readouterr().err
    assert (out / "result.json").read_text() == before
    assert case.register("--quiet", "--force", "--seed", 3, out=out) == 0
    assert json.loads((out / "result.json").read_text())["config"]["seed"] == 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--ct", "absent.nii.gz"), "absent.nii.gz"),
        (("--camera", "absent.json"), "absent.json"),
        (("--init", "absent.json"), "absent.json"),
        (("--init", "dicom"), "C-arm angles"),
        (("--init", "roi"), "init 'roi' needs regions of the X-ray"),
        (("--init", "landmarks:"), "--init must name a file or folder after landmarks:"),
        (("--init", "landmarks:absent.json"), "absent.json"),
        (("--ct-landmarks", "absent.json"), "--ct-landmarks is for landmarks, got --init"),
        (("--view", "sideways"), "--view must be one of"),
        (("--view", "10,up"), "--view must be one of"),
        (("--render-labels", "1"), "--labels"),
        (("--mask", "absent.png"), "absent.png"),
        (("--frame", "3"), "multi-frame"),
        (
            ("--similarity", "ssim", "--method", "gauss-newton"),
            "global-ncc, local-ncc, multiscale-ncc, gradient-ncc, mse, "
            "mae, psnr, got ssim; method adam (--method adam) takes any",
        ),
    ],
)
def test_bad_input_is_one_sentence_status_2_and_nothing_written(
    case: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    said: str,
) -> None:
    assert case.register(*more, out=tmp_path / "out") == 2
    errors = capsys.readouterr().err.splitlines()[-1]
    assert errors.startswith("wsreg: error: ")
    assert said in errors
    assert not (tmp_path / "out").exists()


def test_similarity_and_scheme_choose_the_solver_where_none_is_named() -> None:
    assert registration_config(Solver(), Regions()).method == "gauss-newton"
    assert registration_config(Solver(similarity="ssim"), Regions()).method == "adam"
    assert registration_config(Solver(), Regions(scheme="mixed")).method == "adam"
    assert registration_config(Solver(method="paper"), Regions()).method == "adam"


def test_a_pose_that_is_not_rigid_is_refused_with_its_determinant(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pose = json.loads(case.start.read_text())
    pose["camera_from_ct"] = (2.0 * np.diag([1.0, 1.0, 1.0, 0.5])).tolist()
    path = tmp_path / "scaled.json"
    path.write_text(json.dumps(pose))
    assert case.register("--init", path, out=tmp_path / "out") == 2
    assert "determinant 8" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_geometry_says_what_to_give(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["register", case.xray, "--ct", case.ct, "--sdd", 1020, "--out", tmp_path / "out"]
    assert main([str(word) for word in words]) == 2
    assert "pixel_spacing_mm" in capsys.readouterr().err


def test_no_x_ray_is_a_usage_error(case: Any, tmp_path: Path) -> None:
    words = ["register", "--ct", str(case.ct), "--out", str(tmp_path / "out")]
    assert main(words) == 2


def test_folders_of_a_batch_are_named_after_the_files_and_all_different() -> None:
    xrays = [Path("a/knee.png"), Path("b/knee.dcm"), Path("knee-2.npy"), Path("hip.nii.gz")]
    names = [folder.name for folder in result_folders(xrays, Path("out"))]
    assert names == ["knee", "knee-2", "knee-2-2", "hip"]
    assert result_folders(xrays[:1], Path("out")) == [Path("out")]
    with pytest.raises(InputError, match="at least one"):
        result_folders([], Path("out"))


def test_defaults_are_those_of_the_library() -> None:
    assert registration_config(Solver(), Regions()) == RegistrationConfig()
    default = CalibrationTolerance()
    assert (
        default.source_to_detector_mm,
        default.pixel_spacing_fraction,
        default.principal_point_mm,
    ) == (10.0, 0.005, 2.0), "as the help says"


def test_another_similarity_is_used_and_recorded(case: Any, tmp_path: Path) -> None:
    assert case.register("--quiet", "--similarity", "mse", out=tmp_path / "out") == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [level["measure"]["name"] for level in result["config"]["levels"]] == ["mse"] * 3
    assert result["verdict"]["status"] == "pass", result["verdict"]
    assert result["similarity"]["end"] > 0.999
    middle = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    apart = (read_pose(tmp_path / "out" / "pose.json") - case.true_pose) @ middle
    assert float(apart.norm()) < 1.0


def test_a_similarity_that_there_is_not_names_those_that_there_are(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        case.register("--similarity", "ncc", out=tmp_path / "out")
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert all(name in said for name in get_args(SimilarityName))
    assert not (tmp_path / "out").exists()


def test_a_camera_that_is_known_well_makes_the_depth_known_well(case: Any, tmp_path: Path) -> None:
    depth_mm = {}
    for name, tolerance in {"nominal": ("20", "0.01", "2"), "exact": ("0", "0", "0")}.items():
        words = ("--quiet", "--calibration-tolerance", *tolerance)
        assert case.register(*words, out=tmp_path / name) == 0
        result = json.loads((tmp_path / name / "result.json").read_text())
        depth_mm[name] = result["standard_deviation"]["translation_mm"]["tz"]
    tolerance = result["config"]["trust"]["calibration"]
    assert set(tolerance.values()) == {0.0}
    assert depth_mm["exact"] < 2.0
    # 2 % of the distance and 1 % of the spacing are a depth of about 2 % of 714 mm
    assert 10.0 < depth_mm["nominal"] < 25.0


@pytest.mark.parametrize("tolerance", [("-1", "0", "0"), ("nan", "0", "0")])
def test_a_tolerance_that_cannot_be_is_refused(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], tolerance: tuple[str, ...]
) -> None:
    words = ("--calibration-tolerance", *tolerance)
    assert case.register(*words, out=tmp_path / "out") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "calibration tolerances must be at least 0 and finite" in said


def test_landmarks_of_one_x_ray_are_not_taken_for_several(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks, other = tmp_path / "marks.json", tmp_path / "other.npy"
    seen = {"a": [20.0, 30.0], "b": [70.0, 35.0]}
    ct_mm = {"a": [80.0, 0.0, 0.0], "b": [-80.0, 0.0, 0.0]}
    marks.write_text(json.dumps({"image_px": seen, "ct_mm": ct_mm}))
    shutil.copy(case.xray, other)
    xrays, init = (case.xray, other), f"landmarks:{marks}"
    assert case.register("--init", init, "--quiet", out=tmp_path / "out", xrays=xrays) == 1
    assert capsys.readouterr().err.count("for each of several X-rays") == 2
    gone = f"landmarks:{tmp_path / 'gone.json'}"
    assert case.register("--init", gone, "--quiet", out=tmp_path / "none", xrays=xrays) == 2
    assert not (tmp_path / "none").exists()
