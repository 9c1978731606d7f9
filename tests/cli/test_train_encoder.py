"""From a CT to a registered X-ray by an encoder: ``train encoder``, ``register``, ``pose``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wsreg import Volume, read_pose, read_volume
from wsreg.cli.main import main
from wsreg.files.json_files import read_json, read_sealed_json, write_sealed_json
from wsreg.networks.checkpoint import CARD_FILE


def train(*words: object) -> int:
    return main(["train", "encoder", *map(str, words)])


def labels_of(case: Any) -> tuple[str, ...]:
    return "--labels", str(case.labels), "--label-names", str(case.label_names)


BRIEF = ("--steps", 2, "--batch", 4, "--size-px", 32, "--quiet")


@pytest.fixture(scope="module")
def trained(case: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder that has seen eight X-rays."""
    folder = tmp_path_factory.mktemp("encoder") / "out"
    words = ["--ct", case.ct, "--labels", case.labels, "--label-names", case.label_names,
             "--camera", case.camera, "--out", folder, *BRIEF]  # fmt: skip
    assert train(*words) == 0
    return folder


def test_training_writes_what_the_theatre_needs(trained: Path) -> None:
    card = read_json(trained / CARD_FILE)
    assert (card["kind"], card["step"], card["size_px"]) == ("pose-encoder", 2, 32)
    assert len(card["data_sha256"]) == 64
    assert card["config"]["frame"]["camera"]["source_to_detector_mm"] == 1020.0
    assert (trained / "log.csv").is_file()


def test_an_x_ray_is_registered_from_it(trained: Path, case: Any, tmp_path: Path) -> None:
    words = [case.xray, "--ct", case.ct, "--camera", case.camera, "--init", f"encoder:{trained}",
             "--out", tmp_path / "out", "--quiet"]  # fmt: skip
    assert main(["register", *map(str, words)]) == 0
    result = read_json(tmp_path / "out" / "result.json")
    assert result["init"] == "encoder"
    assert result["inputs"]["init"]["name"] == "model.safetensors"
    found = read_pose(tmp_path / "out" / "pose.json")
    torch.testing.assert_close(found, case.true_pose, atol=1.0, rtol=0.0)


def test_an_encoder_of_another_patient_is_an_error_unless_asked_for(
    trained: Path, case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in ("model.safetensors", CARD_FILE):
        (other / file).write_bytes((trained / file).read_bytes())
    card = read_sealed_json(other / CARD_FILE)
    write_sealed_json(other / CARD_FILE, {**card, "data_sha256": "ab" * 32})
    words = ["register", case.xray, "--ct", case.ct, *labels_of(case), "--camera", case.camera,
             "--init", f"encoder:{other}", "--quiet", "--out"]  # fmt: skip
    assert main([*map(str, words), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "sha256 abababababab" in said
    assert "--other-patient" in said
    assert main([*map(str, words), str(tmp_path / "tried"), "--other-patient"]) == 0
    words[words.index(f"encoder:{other}")] = "search"
    assert main([*map(str, words), str(tmp_path / "third"), "--other-patient"]) == 2
    assert "--other-patient is for an encoder" in capsys.readouterr().err


def test_the_pose_alone(
    trained: Path, case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [case.xray, "--camera", case.camera, "--encoder", trained, "--out", tmp_path]
    assert main(["pose", *map(str, words)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("xray: camera_from_ct")
    assert "standard deviations" in said
    written = read_pose(tmp_path / "xray.json").numpy()
    printed = [[float(word) for word in line.split()] for line in said.splitlines()[1:5]]
    np.testing.assert_allclose(printed, written, atol=1e-6)


def test_the_pose_needs_a_camera_and_an_encoder(
    trained: Path, case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pose", str(case.xray), "--encoder", str(tmp_path)]) == 2
    assert "must hold model.safetensors" in capsys.readouterr().err
    assert main(["pose", str(case.xray), "--encoder", str(trained)]) == 2
    assert "camera" in capsys.readouterr().err
    assert main(["pose", "--encoder", str(trained)]) == 2
    both = [case.xray, tmp_path / "none.npy", "--camera", case.camera, "--encoder", trained]
    assert main(["pose", *map(str, both)]) == 1


def test_it_goes_on_and_says_what_differs(
    trained: Path, case: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--ct", case.ct, "--labels", case.labels, "--label-names", case.label_names,
             "--camera", case.camera, "--out", trained, *BRIEF]  # fmt: skip
    assert train(*words) == 0  # nothing left to do
    assert train(*words, "--geodesic-weight", 0.5) == 2
    assert "geodesic_weight" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--camera", "camera"), "needs --ct and --camera, or --data and --specimen"),
        (("--data", "camera"), "--data needs --specimen"),
        (("--data", "camera", "--specimen", "a", "--ct", "ct"), "stands instead of --ct"),
        (("--ct", "ct", "--camera", "camera"), "need the label map of the CT (--labels)"),
    ],
)
def test_what_is_missing(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: Any, message: str
) -> None:
    given = [getattr(case, word) if word in ("ct", "camera") else word for word in words]
    assert train(*given, "--out", tmp_path / "out", *BRIEF) == 2
    assert message in capsys.readouterr().err


def test_a_specimen_of_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cohort.h5"
    path.write_text(json.dumps({}))
    assert train("--data", path, "--specimen", "a", "--out", tmp_path / "out", "--quiet") == 2
    assert "cohort.h5" in capsys.readouterr().err


def test_an_encoder_of_people_serves_a_patient(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def people(count: int, seed: int, workers: int | None) -> list[Volume]:
        return [read_volume(case.ct, labels=case.labels, label_names=case.label_names)] * count

    monkeypatch.setattr("wsreg.training.people.people_cts", people)
    folder = tmp_path / "people"
    assert train("--people", 16, "--preset", "people", "--out", folder, *BRIEF) == 0
    assert read_json(folder / CARD_FILE)["config"]["people"] == 16
    words = ["register", case.xray, "--ct", case.ct, *labels_of(case), "--camera", case.camera,
             "--init", f"encoder:{folder}", "--quiet", "--out", tmp_path / "out"]  # fmt: skip
    assert main([*map(str, words)]) == 0
    assert main(["pose", str(case.xray), "--camera", str(case.camera), "--encoder", "generic"]) == 2
    assert "needs the encoder of a patient, generic knows no CT" in capsys.readouterr().err
    assert train("--people", 2, "--ct", case.ct, "--out", folder, *BRIEF) == 2
    assert "--people stands instead of --ct, --labels and --data" in capsys.readouterr().err


def test_what_comes_with_the_package_is_a_start(case: Any, tmp_path: Path) -> None:
    words = [case.xray, "--ct", case.ct, *labels_of(case), "--camera", case.camera,
             "--init", "encoder:generic",
             "--out", tmp_path / "out", "--quiet"]  # fmt: skip
    assert main(["register", *map(str, words)]) == 0
    result = read_json(tmp_path / "out" / "result.json")
    assert result["init"] == "encoder"
    found = read_pose(tmp_path / "out" / "pose.json")
    torch.testing.assert_close(found, case.true_pose, atol=1.0, rtol=0.0)
