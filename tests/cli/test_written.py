"""What commands write: whole, one run at a time, inside --out, without the names behind links."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from wsreg.cli.main import main
from wsreg.files.lock import held_file, held_folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in folder.rglob("*") if p.is_file()}  # fmt: skip


def test_a_full_disk_leaves_the_old_result(
    case: Any, registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    shutil.copytree(registered, out)

    def full(*words: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("wsreg.outputs.result_files.write_png", full)
    assert case.register("--quiet", "--force", "--seed", 3, out=out) == 2
    said = capsys.readouterr().err
    assert said == f"wsreg: error: cannot write to {out}: No space left on device\n"
    assert contents(out) == contents(registered)


def test_force_replaces_all_of_an_earlier_run(case: Any, registered: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert case.register("--quiet", "--slicer", "--report", out=out) == 0
    assert {"slicer/scene.mrml", "report.html"} <= contents(out).keys()
    (out / "slicer" / "mine.txt").write_text("")
    for name in ("summary.csv", "poses.csv", "sequence.json"):
        (out / name).write_text("of other runs")
    assert case.register("--quiet", "--force", out=out) == 0
    assert contents(out).keys() == contents(registered).keys() | {"slicer/mine.txt"}


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX")
@pytest.mark.parametrize(
    "words",
    [
        "register {x} --ct {ct} --camera {camera}",
        "segment {x} --model absent",
        "simulate xray --ct {ct} --camera {camera}",
        "demo --source phantom",
        "train encoder --ct {ct} --camera {camera}",
        "train segmentation --data absent.h5",
        "evaluate --data absent.h5 --method ours",
        "reproduce table1 --data absent.h5",
        "pose {x} --encoder absent",
    ],
)
def test_a_second_run_into_a_folder_is_refused(
    case: Any, tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"x": case.xray, "ct": case.ct, "camera": case.camera}
    with held_folder(tmp_path / "out"):
        assert main([*words.format(**files).split(), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert f"out is being written by another run (process {os.getpid()} on" in said[-1]
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX")
@pytest.mark.parametrize("words", ["rig --camera {camera}", "cohort --preset tiny"])
def test_a_second_run_into_a_file_is_refused(
    case: Any, tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out.h5"
    with held_file(out):
        told = main(["simulate", *words.format(camera=case.camera).split(), "--out", str(out)])
    assert told == 2
    said = capsys.readouterr().err
    assert f"{out} is being written by another run (process {os.getpid()} on" in said
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("words", ["simulate cohort --preset tiny", "train segmentation"])
def test_an_out_below_a_file_is_one_sentence(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    data = ["--data", "absent.h5"] if words.startswith("train") else []
    assert main([*words.split(), *data, "--out", str(tmp_path / "file" / "c.h5")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_result_names_files_as_they_were_given(case: Any, tmp_path: Path) -> None:
    for name, source in (("ct.nii.gz", case.ct), ("xray.npy", case.xray)):
        (tmp_path / "johann-mustermann").mkdir(exist_ok=True)
        shutil.copy(source, tmp_path / "johann-mustermann" / f"johann-{name}")
        (tmp_path / name).symlink_to(tmp_path / "johann-mustermann" / f"johann-{name}")
    out = tmp_path / "out"
    words = [
        "register", tmp_path / "xray.npy", "--ct", tmp_path / "ct.nii.gz", "--camera", case.camera,
        "--init", case.start, "--slicer", "--report", "--quiet", "--out", out,
    ]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    inputs = json.loads((out / "result.json").read_text())["inputs"]
    assert (inputs["ct"]["name"], inputs["xray"]["name"]) == ("ct.nii.gz", "xray.npy")
    for name, content in contents(out).items():
        assert b"johann" not in content, name


def test_x_rays_without_a_name_stay_inside_out(case: Any, tmp_path: Path) -> None:
    names = ("...npy", "..npy", "a\nb.npy", "summary.csv.npy", "x" * 250 + ".npy", "\udcff.npy")
    for name in names:
        shutil.copy(case.xray, tmp_path / name)
    xrays = tuple(tmp_path / name for name in names)
    assert case.register("--quiet", out=tmp_path / "out", xrays=xrays) == 0
    assert set(os.listdir(tmp_path)) == {*names, "out"}
    folders = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert folders == {"__", "_", "a_b", "summary.csv-2", "x" * 180, "_-2"}
