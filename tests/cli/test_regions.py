"""wsreg register --roi: masks, folders and models, and what is refused."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image

from wsreg import Camera, InputError, Radiograph
from wsreg.cli.regions import Regions, roi_finder
from wsreg.networks.checkpoint import ModelCard, save_checkpoint
from wsreg.networks.generic import segmenter_folder
from wsreg.networks.unet import UNet, UNetConfig
from wsreg.segmentation.rendered import rendered_rois
from wsreg.volumes.phantom import analytic_phantom

NAMES = ("left-hemipelvis", "right-hemipelvis", "upper-sacrum")
STRUCTURES = ("hip_left", "hip_right", "sacrum")
CAMERA = Camera(source_to_detector_mm=1020.0, rows=96, columns=96, pixel_spacing_mm=(3.0, 3.0))


@pytest.fixture(name="masks", scope="module")
def _masks(case: Any) -> np.ndarray:
    """[3,96,96] of what the X-ray shows."""
    volume = analytic_phantom()
    values = {name: value for value, name in volume.label_names.items()}
    labels = tuple((values[name],) for name in STRUCTURES)
    found = rendered_rois(volume, CAMERA, case.true_pose[None], labels)[0]
    return found.numpy() > 0.5


@pytest.fixture(name="label_png", scope="module")
def _label_png(masks: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels = np.zeros(masks.shape[1:], np.uint8)
    for value, mask in zip((1, 2, 4), masks, strict=True):
        labels[mask] = value
    path = tmp_path_factory.mktemp("rois") / "mask.png"
    Image.fromarray(labels).save(path)
    return path


def with_labels(case: Any, *more: object) -> tuple[object, ...]:
    return "--quiet", "--labels", case.labels, "--label-names", case.label_names, *more


def result_of(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "result.json").read_text())
    return content


def test_a_label_image_is_compared_with_the_cts_labels(
    case: Any, label_png: Path, tmp_path: Path
) -> None:
    out, numbers = tmp_path / "out", tmp_path / "numbers.json"
    numbers.write_text(json.dumps(dict(zip((1, 2, 4), NAMES, strict=True))))
    options = ("--roi", label_png, "--roi-names", numbers)
    assert case.register(*with_labels(case, *options), out=out) == 0
    result = result_of(out)
    assert result["inputs"]["roi"]["name"] == "mask.png"
    names = json.loads(case.label_names.read_text())
    labels = result["config"]["rois"]
    assert [[names[str(value)] for value in labels[roi]] for roi in NAMES] == [
        [structure] for structure in STRUCTURES
    ]
    assert min(result["config"]["evidence"]["roi_dice"].values()) > 0.9
    assert any("mean Dice" in reason for reason in result["verdict"]["reasons"])


def test_names_of_ones_own(case: Any, label_png: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"1": "hip_left", "2": "hip_right", "4": "sacrum"}))
    out = tmp_path / "out"
    options = ("--roi", label_png, "--roi-names", names)
    assert case.register(*with_labels(case, *options), out=out) == 0
    assert set(result_of(out)["config"]["rois"]) == set(STRUCTURES)


def test_a_folder_of_wsreg_segment_with_several_x_rays(
    case: Any, masks: np.ndarray, tmp_path: Path
) -> None:
    other = tmp_path / "other.npy"
    other.write_bytes(case.xray.read_bytes())
    folder = tmp_path / "segmented"
    (folder / "xray").mkdir(parents=True)
    np.savez(
        folder / "xray" / "probabilities.npz",
        probabilities=masks.astype(np.float16),
        roi_names=np.array(NAMES),
    )
    out = tmp_path / "out"
    status = case.register(*with_labels(case, "--roi", folder), out=out, xrays=(case.xray, other))
    assert status == 1  # nothing was segmented for the other one
    with (out / "summary.csv").open(newline="") as file:
        good, failed = csv.DictReader(file)
    assert (good["name"], good["verdict"]) == ("xray", "pass")
    assert "other/probabilities.npz is not a file" in failed["error"]


@pytest.mark.parametrize("scheme", ["ours", "unet"])
def test_a_model_finds_the_regions(scheme: Literal["ours", "unet"], tmp_path: Path) -> None:
    torch.manual_seed(0)
    card = ModelCard(
        kind="unet",
        config={"channels": [4, 8], "output": "sigmoid"},
        roi_names=("left-femur", "skull"),
        size_px=16,
    )
    network = UNet(UNetConfig(rois=2, channels=(4, 8)))
    save_checkpoint(tmp_path / "unet", card, network.state_dict())
    options = Regions(roi=f"unet:{tmp_path / 'unet'}", scheme=scheme)
    image = torch.rand(24, 24, generator=torch.Generator().manual_seed(0))
    radiograph = Radiograph(image=image, mask=torch.ones_like(image, dtype=torch.bool))
    rois = roi_finder(options, analytic_phantom(), ["xray"])("xray", radiograph)
    assert rois is not None
    assert (rois.moving_segmenter is not None) == (scheme == "unet")
    assert rois.names == (("left-femur",) if scheme == "ours" else ("left-femur", "skull"))
    assert options.files()["roi"] == tmp_path / "unet"
    with pytest.raises(InputError, match="a unet model takes no boxes"):
        roi_finder(dataclasses.replace(options, roi_boxes=tmp_path), analytic_phantom(), ["xray"])


def test_the_network_of_the_package_by_its_name() -> None:
    options = Regions(roi="unet:generic")
    assert options.files()["roi"] == segmenter_folder(Path("generic"))
    image = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    radiograph = Radiograph(image=image, mask=torch.ones_like(image, dtype=torch.bool))
    named = dataclasses.replace(analytic_phantom(), label_names={1: "left-hemipelvis"})
    rois = roi_finder(options, named, ["xray"])("xray", radiograph)
    assert rois is not None
    assert rois.names == ("left-hemipelvis",)


def test_a_mask_of_nothing_is_said_in_the_verdict(case: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    Image.fromarray(np.zeros((96, 96), np.uint8)).save(empty)
    out = tmp_path / "out"
    assert case.register(*with_labels(case, "--roi", empty), out=out) == 0
    verdict = result_of(out)["verdict"]
    assert verdict["status"] == "check"
    assert "No region of interest took part" in verdict["reasons"][0]


def test_what_does_not_go_together_is_one_sentence_and_nothing_written(
    case: Any, label_png: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "small.png"
    Image.fromarray(np.zeros((48, 96), np.uint8)).save(small)
    unknown = tmp_path / "unknown.png"
    Image.fromarray(np.full((96, 96), 77, np.uint8)).save(unknown)
    labels = ("--labels", case.labels, "--label-names", case.label_names)
    cases: list[tuple[tuple[object, ...], str]] = [
        (("--roi", label_png), "--roi needs the label map of the CT (--labels)"),
        ((*labels, "--roi", small), "rows x columns, 96 x 96, got 48 x 96"),
        ((*labels, "--roi", unknown), "it has 77 (77)"),
        ((*labels, "--roi", "absent.png"), "absent.png is not a file"),
        ((*labels, "--roi", label_png), "must come with names of its numbers (--roi-names)"),
        ((*labels, "--roi", "rendered"), "where the X-ray's regions come from"),
        ((*labels, "--roi", "unet:absent"), "absent"),
        ((*labels, "--roi", " "), "regions must come from a file or a model's folder"),
        ((*labels, "--roi", "unet:"), "got 'unet:'"),
        ((*labels, "--roi-names", case.label_names), "--roi-names needs --roi"),
        ((*labels, "--roi-moving", "unet:absent"), "--roi-moving needs --roi"),
        ((*labels, "--roi-weight", "0.1"), "--roi-weight needs --roi"),
        ((*labels, "--scheme", "unet"), "--scheme unet needs a U-Net for the X-ray (--roi)"),
        ((*labels, "--scheme", "medsam"), "--scheme medsam needs a MedSAM for the X-ray (--roi)"),
        (
            (*labels, "--roi", label_png, "--scheme", "unet"),
            "--scheme unet needs a U-Net for the X-ray, --roi unet:DIR",
        ),
        (
            (*labels, "--roi", label_png, "--scheme", "mixed"),
            "--scheme mixed needs a U-Net for the rendered image, --roi-moving unet:DIR",
        ),
        (
            (*labels, "--roi", label_png, "--roi-moving", "unet:absent"),
            "--roi-moving is for --scheme mixed, got --scheme ours",
        ),
        (
            (*labels, "--roi", label_png, "--scheme", "mixed", "--roi-moving", "medsam:absent"),
            "--roi-moving must be a U-Net, unet:DIR, got medsam:absent",
        ),
        ((*labels, "--roi", label_png, "--roi-boxes", label_png), "are for a model"),
        ((*labels, "--init", "roi"), "init 'roi' needs regions of the X-ray"),
    ]
    for words, said in cases:
        assert case.register(*words, out=tmp_path / "out") == 2, words
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("wsreg: error: ")
        assert said in error
        assert not (tmp_path / "out").exists()
