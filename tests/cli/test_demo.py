from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import wsreg.demo
from wsreg import Camera, read_camera, read_pose, read_rig
from wsreg.cli.main import main
from wsreg.cohort.exposure import Acquisition
from wsreg.geometry.rig import angle_between_views_deg
from wsreg.geometry.rigid import inverse_rigid
from wsreg.outputs.result_files import read_result
from wsreg.specimens.specimen import Detail
from wsreg.volumes.examples import DownloadError


def test_without_network_the_phantom_is_registered_and_can_be_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(name: str) -> None:
        raise DownloadError(f"no {name} here")

    small = Camera(
        source_to_detector_mm=1020.0, rows=192, columns=192, pixel_spacing_mm=(300 / 192,) * 2
    )
    monkeypatch.setattr(wsreg.demo, "CAMERA", small)
    monkeypatch.setattr(wsreg.demo, "fetch_example", away)
    out = tmp_path / "out"
    assert main(["demo", "--sample", "chest", "--out", str(out)]) == 0

    said = capsys.readouterr()
    assert "no chest here" in said.err
    assert "NO REAL CT" in said.err
    lines = said.out.splitlines()
    errors_mm = {
        line[:3]: np.array(line.split()[-4:-1:2], float) for line in lines if "mm  " in line
    }
    assert (errors_mm["sta"] > 10.0).all()
    assert errors_mm["end"][0] < 1.0
    assert errors_mm["end"][1] < 5.0

    assert read_camera(out / "camera.json") == small
    found, true = read_pose(out / "pose.json"), read_pose(out / "true_pose.json")
    assert float((found - true)[:3, :3].abs().max()) < 0.01
    assert (out / "overlay.png").stat().st_size > 10_000

    again = shlex.split(next(line for line in lines if line.startswith("again")))[2:]
    assert main([*again, "--quiet", "--init", str(out / "true_pose.json")]) == 0
    assert read_pose(out / "again" / "pose.json").shape == (4, 4)
    # Results are there now.
    assert main(["demo", "--out", str(out), "--source", "phantom"]) == 2
    assert "--force" in capsys.readouterr().err


def test_a_virtual_specimen_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = Camera(
        source_to_detector_mm=1020.0, rows=128, columns=128, pixel_spacing_mm=(300 / 128,) * 2
    )
    monkeypatch.setattr(wsreg.demo, "CAMERA", small)
    monkeypatch.setattr(wsreg.demo, "SPECIMEN_DETAIL", Detail(bone_mm=1.5, body_mm=4.0))
    monkeypatch.setattr(wsreg.demo, "SPECIMEN_CT_MM", 2.5)
    out = tmp_path / "out"
    main(["demo", "--out", str(out)])  # so coarse a specimen may be registered or not
    assert "verdict" in capsys.readouterr().out
    for name in ("ct.nii.gz", "labels.nii.gz", "label_names.json", "xray.tiff", "camera.json",
                 "true_pose.json", "overlay.png"):  # fmt: skip
        assert (out / name).stat().st_size > 0


def test_a_biplane_is_registered_together_and_can_be_again_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = Camera(
        source_to_detector_mm=1020.0, rows=128, columns=128, pixel_spacing_mm=(300 / 128,) * 2
    )
    monkeypatch.setattr(wsreg.demo, "CAMERA", small)
    out = tmp_path / "out"
    words = ["demo", "--source", "phantom", "--biplane", "--angle", "80", "--out", str(out)]
    assert main(words) == 0
    rig = read_rig(out / "rig.json")
    assert angle_between_views_deg(*(view.camera_from_rig for view in rig.views)) == pytest.approx(
        80.0, abs=1e-6
    )
    lines = capsys.readouterr().out.splitlines()
    errors_mm = [np.array(line.split()[-4:-1:2], float) for line in lines if "end, view-" in line]
    assert len(errors_mm) == 2
    assert errors_mm[0][1] == errors_mm[1][1] < 1.0, "one error in space, in depth as well"

    commands = [shlex.split(line)[1:] for line in lines if line.startswith("  wsreg")]
    assert [command[:2] for command in commands[:3]] == [
        ["simulate", "rig"], ["simulate", "xray"], ["simulate", "xray"],
    ]  # fmt: skip
    for command in commands:
        assert main([*command, "--quiet"]) == 0
    result = read_result(out / "by-hand" / "result")
    assert [view["xray"] for view in result["views"]] == ["view-1", "view-2"]
    found = read_pose(out / "by-hand" / "result" / "pose.json")
    apart = found - read_pose(out / "true_pose.json")
    assert float(apart[:3, 3].norm()) < 2.0


def test_femurs_and_tissue_lie_alike_in_both_views_of_a_biplane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EnoughError(Exception):
        """Ends the demo when all X-rays are simulated."""

    seen: list[Acquisition] = []

    def expose(specimen: object, camera: Camera, acquisition: Acquisition) -> object:
        seen.append(acquisition)
        if len(seen) == 2:
            raise EnoughError
        return SimpleNamespace(transmission=None)

    monkeypatch.setattr(wsreg.demo, "expose", expose)
    monkeypatch.setattr(wsreg.demo, "SPECIMEN_DETAIL", Detail(bone_mm=2.0, body_mm=6.0))
    monkeypatch.setattr(wsreg.demo, "SPECIMEN_CT_MM", 6.0)
    with pytest.raises(EnoughError):
        wsreg.demo.run_demo(tmp_path / "out", angle_deg=90.0)
    first, second = seen
    assert first.poses.keys() == second.poses.keys() == {"pelvis", "left-femur", "right-femur"}
    move = second.camera_from_ct @ inverse_rigid(first.camera_from_ct)
    for name, pose in first.poses.items():
        assert torch.allclose(second.poses[name], move @ pose, atol=1e-9)
    assert torch.allclose(second.camera_from_tissue, move @ first.camera_from_tissue, atol=1e-9)
    assert float(move[2, 2]) == pytest.approx(0.0, abs=1e-9), "a quarter turn"
    assert not torch.allclose(first.poses["left-femur"], first.poses["pelvis"])
    assert first.seed != second.seed


def test_an_angle_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["demo", "--biplane", "--angle", "nan", "--out", str(out)]) == 2
    assert "--angle must be finite" in capsys.readouterr().err
    assert not out.exists()
