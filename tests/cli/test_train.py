from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import wsreg.training.fit
import wsreg.training.people_layers
import wsreg.training.segmentation
import wsreg.training.segmentation_data
from wsreg import Camera
from wsreg.cli.main import main
from wsreg.datasets.writer import CohortWriter, Projection
from wsreg.files.hashes import sha256_of
from wsreg.networks.checkpoint import ModelCard
from wsreg.training.segmentation_config import begun_config
from wsreg.volumes.volume import Volume


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Two specimens with two X-rays each, of next to nothing."""
    camera = Camera(source_to_detector_mm=1000.0, rows=16, columns=16, pixel_spacing_mm=(8.0, 8.0))
    labels = torch.zeros(4, 4, 4, dtype=torch.uint8)
    labels[1:3, 1:3, 1:3] = 1
    volume = Volume(
        hu=labels.to(torch.int16) * 500,
        ct_from_voxel=torch.eye(4, dtype=torch.float64),
        labels=labels,
        label_names={1: "left-hemipelvis"},
    )
    pose = torch.eye(4, dtype=torch.float64)
    pose[2, 3] = 700.0
    projection = Projection(
        image=torch.full((16, 16), 20000.0),
        labels=torch.zeros(16, 16, dtype=torch.uint8),
        landmarks_px={},
        poses=dict.fromkeys(("pelvis", "left-femur", "right-femur"), pose),
    )
    path = tmp_path / "cohort.h5"
    with CohortWriter(path, camera) as writer:
        for specimen in ("17-1882", "18-1109"):
            writer.write_specimen(specimen, volume, {})
            for name in ("000", "001"):
                writer.write_projection(specimen, name, projection)
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asks of the training, which is not run."""
    seen: dict[str, Any] = {}

    def load(by_specimen: Any, specimens: Any, held_out: Any, config: Any, cache: Any, sha256: Any,
             progress: Any) -> str:  # fmt: skip
        seen.update(specimens=specimens, held_out=held_out, config=config, sha256=sha256)
        seen["image"] = by_specimen("17-1882")[0].radiograph.image.shape
        return "the data"

    def task(data: Any, config: Any, **options: Any) -> str:
        seen.update(data=data, trained_with=config, **options)
        return "the task"

    def fit(task: Any, folder: Any, **options: Any) -> ModelCard:
        seen.update(task=task, folder=folder, **options)
        return ModelCard(kind="unet", config={}, roi_names=("a",), size_px=1, metrics={"dice": 0.5})

    monkeypatch.setattr(wsreg.training.segmentation_data, "load_segmentation_data", load)
    monkeypatch.setattr(wsreg.training.segmentation, "segmentation_task", task)
    monkeypatch.setattr(wsreg.training.fit, "fit", fit)
    return seen


def train(*words: object) -> int:
    return main(["train", "segmentation", *map(str, words)])


def test_the_specimens_left_out_and_the_settings_reach_the_training(
    cohort: Path, tmp_path: Path, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", cohort, "--out", tmp_path / "m", "--hold-out", "17-1882", "--steps", 7,
             "--minutes", 5, "--seed", 3, "--output", "softmax"]  # fmt: skip
    assert train(*words) == 0
    assert asked["specimens"] == ("17-1882", "18-1109")
    assert asked["held_out"] == ("17-1882",)
    assert asked["sha256"] == sha256_of(cohort)
    config = asked["config"]
    assert asked["trained_with"] == config
    assert (config.architecture, config.output) == ("unet", "softmax")
    assert (config.fit.steps, config.fit.seed) == (7, 3)
    assert (asked["data"], asked["task"]) == ("the data", "the task")
    assert asked["image"] == (config.size_px, config.size_px)
    assert asked["folder"] == tmp_path / "m"
    assert 0 < asked["minutes"] <= 5
    assert "dice" in capsys.readouterr().out


def test_the_papers_presets(cohort: Path, tmp_path: Path, asked: dict[str, Any]) -> None:
    words = ["--data", cohort, "--out", tmp_path, "--preset", "paper", "--quiet"]
    assert train(*words, "--hold-out", "17-1882") == 0
    config = asked["config"].fit
    assert (config.optimiser, config.learning_rate, config.schedule) == ("adam", 0.1, "constant")
    assert config.steps == 500
    assert train(*words, "--model", "medsam", "--medsam-weights", tmp_path / "w") == 0
    config = asked["config"].fit
    assert (config.optimiser, config.learning_rate, config.steps) == ("adamw", 1e-3, 400)
    assert asked["medsam_weights"] == tmp_path / "w"


def test_bad_input_is_one_sentence(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--data", tmp_path / "none.h5", "--out", tmp_path / "m", "--quiet") == 2
    words = ["--data", cohort, "--out", tmp_path / "m", "--quiet"]
    assert train(*words, "--hold-out", "99-0000") == 2
    assert "17-1882, 18-1109, got '99-0000'" in capsys.readouterr().err
    assert train(*words, "--hold-out", "17-1882", "18-1109") == 2
    assert "leaves no specimen to train on" in capsys.readouterr().err


def test_people_instead_of_a_file(
    tmp_path: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def people(count: int, config: Any, camera: Camera, cache: Path, progress: Any) -> str:
        asked.update(count=count, config=config, camera=camera, cache=cache)
        return "people"

    monkeypatch.setattr(wsreg.training.people_layers, "people_data", people)
    words = ["--people", 20, "--out", tmp_path / "m", "--steps", 9, "--seed", 4, "--quiet"]
    assert train(*words) == 0
    assert (asked["count"], asked["data"], asked["cache"]) == (20, "people", tmp_path / "m/layers")
    config = asked["config"]
    assert asked["trained_with"] == config
    assert (config.size_px, config.xray_fraction) == (96, 0.0)
    assert (config.fit.steps, config.fit.seed) == (9, 4)


def test_what_begins_with_the_network_of_the_package(
    cohort: Path, tmp_path: Path, asked: dict[str, Any]
) -> None:
    words = ["--data", cohort, "--out", tmp_path, "--begin-with", "generic", "--quiet"]
    assert train(*words) == 0
    assert asked["begin_with"] == Path("generic")
    assert asked["config"] == begun_config()
    assert asked["image"] == (96, 96)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "needs --data, or --people"),
        (("--people", 20, "--hold-out", "a"), "--people stands instead of --data and --hold-out"),
        (("--people", 20, "--preset", "paper"), "--people has settings of its own"),
        (("--people", 3), "people must be at least 16, got 3"),
        (("--begin-with", "none", "--people", 20), "model none must hold"),
    ],
)
def test_people_and_files_do_not_go_together(
    words: tuple[object, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*words, "--out", tmp_path / "m", "--quiet") == 2
    assert told in capsys.readouterr().err
