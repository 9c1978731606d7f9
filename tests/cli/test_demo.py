from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

import wsreg.demo
from wsreg import Camera, read_camera, read_pose
from wsreg.cli.main import main
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
    for name in ("ct.nii.gz", "xray.tiff", "camera.json", "true_pose.json", "overlay.png"):
        assert (out / name).stat().st_size > 0
