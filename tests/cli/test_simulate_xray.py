from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from wsreg import read_camera, read_pose, render
from wsreg.cli.main import main
from wsreg.volumes.phantom import analytic_phantom


def simulate(case: Any, out: Path, *more: object) -> int:
    words = ["simulate", "xray", "--ct", case.ct, "--camera", case.camera, "--out", out, "--quiet"]
    return main([str(word) for word in (*words, *more)])


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def simulated(case: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    (folder / "pose.json").write_text(
        json.dumps({"camera_from_ct": case.true_pose.tolist(), "frame": "LPS", "units": "mm"})
    )
    out = folder / "out"
    more = ("--pose", folder / "pose.json", "--labels", case.labels, "--seed", 3,
            "--collimator", "circle", "--tools", 2)  # fmt: skip
    assert simulate(case, out, *more) == 0
    return out


def test_image_camera_and_true_pose(case: Any, simulated: Path) -> None:
    files = ["camera.json", "labels.png", "parameters.json", "pose.json", "xray.png"]
    assert sorted(path.name for path in simulated.iterdir()) == files
    counts = pixels(simulated / "xray.png")
    assert counts.dtype == np.uint16
    assert counts.shape == (96, 96)
    assert read_camera(simulated / "camera.json") == read_camera(case.camera)
    torch.testing.assert_close(read_pose(simulated / "pose.json"), case.true_pose)
    parameters = json.loads((simulated / "parameters.json").read_text())["parameters"]
    assert parameters["collimator"]["shape"] == "circle"
    assert len(parameters["tools"]) == 2
    assert counts[0, 0] < 0.1 * counts.max()  # outside the field


def test_labels_are_seen_where_their_voxels_project(case: Any, simulated: Path) -> None:
    labels = pixels(simulated / "labels.png")
    assert labels.dtype == np.uint8
    volume = analytic_phantom()
    camera = read_camera(case.camera)
    assert set(np.unique(labels)) <= {0, *volume.label_values}
    for value in volume.label_values[:2]:
        lengths = render(volume, camera, case.true_pose, rois=[value])[0, 1].numpy()
        seen = labels == value
        assert seen.any()
        assert lengths[seen].min() > 0.5 * max(volume.spacing_mm)
    any_label = render(volume, camera, case.true_pose, rois=[volume.label_values])[0, 1].numpy()
    assert (labels[any_label > 20.0] > 0).all()


def test_the_record_makes_the_image_again(case: Any, simulated: Path, tmp_path: Path) -> None:
    more = ("--pose", simulated / "pose.json", "--parameters", simulated / "parameters.json")
    assert simulate(case, tmp_path / "again", *more) == 0
    np.testing.assert_array_equal(
        pixels(tmp_path / "again" / "xray.png"), pixels(simulated / "xray.png")
    )
    record = (tmp_path / "again" / "parameters.json").read_text()
    assert record == (simulated / "parameters.json").read_text()


def test_a_view_will_do_and_the_x_ray_shows_the_ct_there(case: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert simulate(case, out, "--view", "lat", "--seed", 1) == 0
    assert not (out / "labels.png").exists()
    attenuation = -np.log((pixels(out / "xray.png") + 1.0) / 65487.0)
    shown = render(analytic_phantom(), read_camera(case.camera), read_pose(out / "pose.json"))
    both = np.stack((attenuation.ravel(), shown.numpy().ravel()))
    assert np.corrcoef(both)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--seed", "-1"), "--seed must be at least 0"),
        (("--tools", "-1"), "--tools must be at least 0"),
        (("--view", "above"), "--view"),
        (("--parameters", "missing.json"), "missing.json does not exist"),
        (("--parameters", "RECORD", "--seed", "4"), "leave those out"),
        (("--pose", "POSE"), "in front of the source"),
    ],
)
def test_bad_input_writes_nothing(
    case: Any,
    simulated: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    said: str,
) -> None:
    behind = tmp_path / "behind.json"
    pose = case.true_pose.clone()
    pose[2, 3] = -500.0
    behind.write_text(json.dumps({"camera_from_ct": pose.tolist(), "frame": "LPS", "units": "mm"}))
    names = {"RECORD": simulated / "parameters.json", "POSE": behind}
    out = tmp_path / "out"
    assert simulate(case, out, *(names.get(word, word) for word in more)) == 2
    message = capsys.readouterr().err
    assert said in message
    assert message.startswith("wsreg: error: ")
    assert not out.exists()


def test_results_are_not_replaced_unasked(
    case: Any, simulated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(case, simulated) == 2
    assert "--force" in capsys.readouterr().err
