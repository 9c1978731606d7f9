from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from wsreg.cli.main import main
from wsreg.networks.checkpoint import ModelCard, save_checkpoint
from wsreg.networks.medsam import FROM_SCRATCH, MedSam
from wsreg.networks.unet import UNet, UNetConfig

ROIS = ("left-femur", "right-femur")


@pytest.fixture
def xray(tmp_path: Path) -> Path:
    grid = np.linspace(-1, 1, 64)
    picture = np.exp(-(grid[:, None] ** 2) - 3 * (grid[None, :] - 0.2) ** 2).astype(np.float32)
    np.save(tmp_path / "hip.npy", picture)
    return tmp_path / "hip.npy"


def unet_folder(folder: Path, *, bias: float | None = None) -> Path:
    torch.manual_seed(0)
    network = UNet(UNetConfig(rois=2, channels=(4, 8)))
    if bias is not None:
        assert network.exit.bias is not None
        torch.nn.init.constant_(network.exit.bias, bias)
    card = ModelCard(
        kind="unet", config={"channels": [4, 8], "output": "sigmoid"}, roi_names=ROIS, size_px=32
    )
    save_checkpoint(folder, card, network.state_dict())
    return folder


def medsam_folder(folder: Path) -> Path:
    torch.manual_seed(0)
    network = MedSam(FROM_SCRATCH)
    card = ModelCard(kind="medsam", config=network.config, roi_names=ROIS, size_px=192)
    save_checkpoint(folder, card, network.state_dict())
    return folder


def segment(*words: object) -> int:
    return main(["segment", *map(str, words), "--intensity", "attenuation"])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_one_xray(tmp_path: Path, xray: Path) -> None:
    out = tmp_path / "out"
    model = unet_folder(tmp_path / "unet", bias=20.0)
    assert segment(xray, "--model", model, "--out", out) == 0
    assert {path.name for path in out.iterdir()} == {
        "labels.png", "labels.nii.gz", "label_names.json", "probabilities.npz", "overlay.png",
        "rois.csv",
    }  # fmt: skip
    rows = table(out / "rois.csv")
    assert [(row["xray"], row["roi"]) for row in rows] == [("hip", name) for name in ROIS]
    assert int(rows[0]["area_px"]) > 0


def test_all_background_is_said(
    tmp_path: Path, xray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = unet_folder(tmp_path / "unet", bias=-200.0)
    assert segment(xray, "--model", model, "--out", tmp_path / "out", "--quiet") == 0
    assert "hip: no region found, all is background" in capsys.readouterr().err
    notes = {row["note"] for row in table(tmp_path / "out" / "rois.csv")}
    assert notes == {"nothing found in this X-ray"}


def test_one_bad_xray_of_several_does_not_stop_the_others(
    tmp_path: Path, xray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((64, 64), np.float32))
    model = unet_folder(tmp_path / "unet")
    words = (tmp_path / "flat.npy", xray, "--model", f"unet:{model}", "--out", tmp_path / "out")
    assert segment(*words) == 1
    assert "wsreg: error:" in capsys.readouterr().err
    assert (tmp_path / "out" / "hip" / "labels.png").is_file()
    assert {row["xray"] for row in table(tmp_path / "out" / "rois.csv")} == {"hip"}


def test_workers_segment_a_batch_as_one_process_does(
    tmp_path: Path, xray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((64, 64), np.float32))
    model = unet_folder(tmp_path / "unet")
    words = (tmp_path / "flat.npy", xray, "--model", model, "--out")
    said = []
    for out, more in (("here", ()), ("there", ("--scheduler", "local"))):
        assert segment(*words, tmp_path / out, *more) == 1
        printed = capsys.readouterr()
        said.append((printed.out.replace(str(tmp_path / out), ""), printed.err))
    assert said[0] == said[1]
    for name in ("rois.csv", "hip/labels.png", "hip/probabilities.npz"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_medsam_takes_boxes_from_a_file_or_from_a_unet(
    tmp_path: Path, xray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = medsam_folder(tmp_path / "medsam")
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"hip": {"left-femur": [5, 5, 40, 60]}}), encoding="utf-8")
    assert segment(xray, "--model", model, "--out", tmp_path / "a") == 2
    assert "needs boxes: --boxes FILE, or --boxes-from DIR" in capsys.readouterr().err
    assert segment(xray, "--model", model, "--out", tmp_path / "a", "--boxes", boxes) == 0
    right = table(tmp_path / "a" / "rois.csv")[1]
    assert (right["roi"], right["area_px"]) == ("right-femur", "0")
    unet = unet_folder(tmp_path / "unet", bias=20.0)
    assert segment(xray, "--model", model, "--out", tmp_path / "b", "--boxes-from", unet) == 0


def test_results_are_not_overwritten_unasked(
    tmp_path: Path, xray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = unet_folder(tmp_path / "unet")
    assert segment(xray, "--model", model, "--out", tmp_path / "out", "--quiet") == 0
    assert segment(xray, "--model", model, "--out", tmp_path / "out") == 2
    assert "already holds results" in capsys.readouterr().err
    assert segment(xray, "--model", model, "--out", tmp_path / "out", "--force") == 0


def test_a_pickle_is_refused(
    tmp_path: Path, xray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({}, tmp_path / "model.pt")
    assert segment(xray, "--model", tmp_path / "model.pt", "--out", tmp_path / "out") == 2
    assert "pickled checkpoints" in capsys.readouterr().err


def test_the_network_of_the_package_needs_no_training(tmp_path: Path, xray: Path) -> None:
    assert segment(xray, "--model", "unet:generic", "--out", tmp_path / "out") == 0
    rois = {row["roi"] for row in table(tmp_path / "out" / "rois.csv")}
    assert {"left-femur", "upper-sacrum", "vertebrae"} <= rois


def test_a_model_of_another_kind_than_its_name_says(
    tmp_path: Path, xray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = unet_folder(tmp_path / "unet")
    assert segment(xray, "--model", f"medsam:{model}", "--out", tmp_path / "out") == 2
    assert "must be of the kind medsam, got 'unet'" in capsys.readouterr().err
