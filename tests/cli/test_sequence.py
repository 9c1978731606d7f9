from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wsreg import Camera, read_volume, render
from wsreg.cli.main import main
from wsreg.geometry.rigid import perturb
from wsreg.outputs.sequence_tables import POSE_COLUMNS

COUNT = 4
FILES = {"poses.csv", "sequence.json", "sequence.png", "motion.png", "sequence.journal"}


@pytest.fixture(name="folder", scope="module")
def _folder(case: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of the phantom that moves by a millimetre a frame; the second is noise alone."""
    folder = tmp_path_factory.mktemp("frames")
    volume = read_volume(case.ct)
    camera = Camera(source_to_detector_mm=1020.0, rows=96, columns=96, pixel_spacing_mm=(3.0, 3.0))
    rate = torch.tensor([0.004, 0.0, -0.004, 1.0, 0.5, 0.0], dtype=torch.float64)
    for number in range(COUNT):
        pose = perturb(case.true_pose, number * rate, volume.centre_mm)
        image = render(volume, camera, pose)[0, 0].numpy()
        if number == 1:
            image = 3.0 + 0.01 * np.random.default_rng(0).standard_normal((96, 96))
        np.save(folder / f"f{number}.npy", image)
    return folder


@pytest.fixture(name="done", scope="module")
def _done(case: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sequence") / "out"
    assert case.register("--quiet", "--sequence", out=out, xrays=(folder,)) == 1
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_of_frames_becomes_a_table_of_poses(case: Any, done: Path) -> None:
    assert {path.name for path in done.iterdir()} == FILES
    rows = rows_of(done / "poses.csv")
    assert [row["found_by"] for row in rows] == ["start", "none", "tracked", "tracked"]
    assert [row["name"] for row in rows] == ["f0", "f1", "f2", "f3"]
    pose = torch.tensor([float(rows[0][name]) for name in POSE_COLUMNS], dtype=torch.float64)
    assert float((pose.reshape(4, 4) - case.true_pose)[:2, 3].norm()) < 2.0
    record = json.loads((done / "sequence.json").read_text())
    assert record["lost"] == [1]
    assert record["inputs"]["ct"]["name"] == "ct.nii.gz"
    assert record["frames_per_second"] > 0


def test_a_finished_run_says_so_and_does_nothing(
    case: Any, folder: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in done.iterdir()}
    assert case.register("--sequence", out=done, xrays=(folder,)) == 1, "a frame is lost"
    assert "holds all frames of this sequence already" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in done.iterdir()} == before


def test_a_run_that_was_killed_goes_on_to_the_same_poses(
    case: Any, folder: Path, done: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    lines = (done / "sequence.journal").read_bytes().splitlines(keepends=True)
    # the plan, two frames, and half of a third
    (out / "sequence.journal").write_bytes(b"".join(lines[:3]) + lines[3][:40])
    assert case.register("--quiet", "--sequence", out=out, xrays=(folder,)) == 1
    assert (out / "poses.csv").read_bytes() == (done / "poses.csv").read_bytes()
    assert (out / "motion.png").read_bytes() == (done / "motion.png").read_bytes()


def test_another_run_is_not_mixed_with_the_first(
    case: Any, folder: Path, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    assert case.register("--sequence", "--seed", 3, out=out, xrays=(folder,)) == 2
    assert "differs in config, options" in capsys.readouterr().err
    assert case.register(
        "--quiet", "--force", "--sequence", "--seed", 3, "--smooth", 1, out=out, xrays=(folder,)
    ) == 1  # fmt: skip
    assert json.loads((out / "sequence.json").read_text())["config"]["seed"] == 3
    smooth = rows_of(out / "poses-smoothed.csv")
    assert [row["camera_from_ct_00"] == "" for row in smooth] == [False, True, False, False]


def test_masks_of_some_frames(
    case: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "other.png").write_bytes(b"of another film")
    words = ("--sequence", "--labels", case.labels, "--bodies", "none", "--roi", masks)
    assert case.register(*words, out=tmp_path / "out", xrays=(folder,)) == 2
    assert "must hold masks named after frames, such as f0.png" in capsys.readouterr().err
    volume = read_volume(case.ct, case.labels)
    camera = Camera(source_to_detector_mm=1020.0, rows=96, columns=96, pixel_spacing_mm=(3.0, 3.0))
    label = volume.label_values[0]
    image = render(volume, camera, case.true_pose, rois=[label], attenuation=False)[0, 0] > 4.0
    Image.fromarray((label * image).numpy().astype(np.uint8)).save(masks / "f0.png")
    assert case.register(*words, out=tmp_path / "out", xrays=(folder,)) == 1
    assert "3 of 4 frames have no mask and go without: f1, f2, f3." in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "sequence.json").read_text())
    assert any("go without" in note for note in record["notes"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--frame", "3"), "--frame is for single X-rays"),
        (("--slicer",), "--slicer is for single X-rays"),
        (("--render-labels", "1"), "--render-labels is for single X-rays"),
        (("--smooth", "-1"), "--smooth must be positive"),
        (("--roi", "absent"), "--roi must be a folder of masks"),
        (("--method", "adam"), "method must be gauss-newton"),
        (("--trace",), "--trace is for single X-rays"),
        (("--scheme", "unet"), "--scheme is for single X-rays"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    case: Any,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    said: str,
) -> None:
    assert case.register("--sequence", *more, out=tmp_path / "out", xrays=(folder,)) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out" / "poses.csv").exists()


def test_smoothing_is_for_sequences_alone(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert case.register("--smooth", "2", out=tmp_path / "out") == 2
    assert "--smooth is for --sequence" in capsys.readouterr().err


def test_no_frames_is_a_sentence(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["register", "--sequence", "--ct", str(case.ct), "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "--sequence needs frames" in capsys.readouterr().err


def test_a_biplane_run(case: Any, folder: Path, tmp_path: Path) -> None:
    volume = read_volume(case.ct)
    camera = Camera(source_to_detector_mm=1020.0, rows=96, columns=96, pixel_spacing_mm=(3.0, 3.0))
    middle = (case.true_pose[:3, :3] @ volume.centre_mm + case.true_pose[:3, 3]).tolist()
    second = torch.tensor(
        [[0.0, 0, 1, middle[0] - middle[2]], [0, 1, 0, 0], [-1, 0, 0, middle[2] + middle[0]],
         [0, 0, 0, 1]], dtype=torch.float64,
    )  # fmt: skip
    for name, camera_from_rig in (("left", torch.eye(4).double()), ("right", second)):
        (tmp_path / name).mkdir()
        for number in range(2):
            image = render(volume, camera, camera_from_rig @ case.true_pose)[0, 0].numpy()
            np.save(tmp_path / name / f"f{number}.npy", image)
    views = [
        {"name": name, "camera_from_rig": pose.tolist()}
        for name, pose in (("left", torch.eye(4)), ("right", second))
    ]
    (tmp_path / "rig.json").write_text(json.dumps({"views": views, "units": "mm"}))
    status = case.register(
        "--quiet", "--sequence", "--rig", tmp_path / "rig.json", out=tmp_path / "out",
        xrays=(tmp_path / "left", tmp_path / "right"),
    )  # fmt: skip
    rows = rows_of(tmp_path / "out" / "poses.csv")
    assert [row["found_by"] for row in rows] == ["start", "tracked"]
    pose = torch.tensor([float(rows[1][name]) for name in POSE_COLUMNS], dtype=torch.float64)
    assert float((pose.reshape(4, 4) - case.true_pose)[:3, 3].norm()) < 2.0
    assert status == 0
