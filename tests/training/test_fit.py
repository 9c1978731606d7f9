from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.files.tensor_file import read_tensors, write_tensors
from wsreg.networks.checkpoint import ModelCard, read_card, read_weights
from wsreg.training.config import FitConfig
from wsreg.training.fit import Batch, fit, memory_told
from wsreg.training.state import STATE_FILE


@dataclass(frozen=True, kw_only=True)
class SlopeConfig:
    """Settings of the task below."""

    noise: float = 0.1
    fit: FitConfig = field(default_factory=FitConfig)


@dataclass(frozen=True, kw_only=True, eq=False)
class SlopeTask:
    """Learn y = 2 x + 1 through dropout: nothing of it is segmentation."""

    config: SlopeConfig
    network: nn.Module
    data: str = "line"
    scale: float = 1.0

    @property
    def origin(self) -> Mapping[str, str]:
        return {"data": self.data}

    def batch(self, step: int, number: int) -> Batch:
        generator = torch.Generator().manual_seed(1000 * self.config.fit.seed + number)
        x = torch.rand(self.config.fit.batch, 1, generator=generator)
        noise = torch.randn(x.shape, generator=generator)
        return x, 2.0 * x + 1.0 + self.config.noise * noise

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        x, y = batch
        loss: Tensor = self.scale * (network(x) - y).square().mean()
        return loss

    def validate(self, network: nn.Module, step: int) -> Mapping[str, float]:
        assert not network.training
        at_half = network(torch.full((1, 1), 0.5))
        assert not at_half.requires_grad
        return {"error": abs(float(at_half) - 2.0), "unknown": math.nan}

    def card(self, step: int, metrics: Mapping[str, float]) -> ModelCard:
        return ModelCard(kind="slope", config={}, size_px=1, step=step, metrics=dict(metrics))


CONFIG = SlopeConfig(fit=FitConfig(steps=6, save_every=2, batch=4, learning_rate=0.05))


def task(config: SlopeConfig = CONFIG, data: str = "line", scale: float = 1.0) -> SlopeTask:
    torch.manual_seed(config.fit.seed)
    network = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.3), nn.Linear(8, 1))
    return SlopeTask(config=config, network=network, data=data, scale=scale)


def with_fit(**changes: Any) -> SlopeConfig:
    return dataclasses.replace(CONFIG, fit=dataclasses.replace(CONFIG.fit, **changes))


def test_it_learns_and_writes_what_it_learnt(tmp_path: Path) -> None:
    card = fit(task(with_fit(steps=300, save_every=150)), tmp_path)
    assert card == read_card(tmp_path)
    assert fit(task(with_fit(steps=300, save_every=150)), tmp_path) == card  # nothing left to do
    assert (card.kind, card.step, card.roi_names) == ("slope", 300, ())
    assert card.metrics["error"] < 0.2
    assert card.metrics.keys() == {"loss", "error"}  # what is not finite is in the log only
    assert (tmp_path / "log.csv").read_text().splitlines()[0] == "step,loss,error,unknown"
    again = task().network.eval().requires_grad_(False)
    again.load_state_dict(read_weights(tmp_path))
    error = abs(float(again(torch.full((1, 1), 0.5))) - 2.0)
    assert error == pytest.approx(card.metrics["error"])


@pytest.mark.parametrize("optimiser", ["adam", "adamw"])
def test_a_killed_run_ends_with_the_same_weights_dropout_included(
    tmp_path: Path, optimiser: str
) -> None:
    class KilledError(Exception):
        pass

    told: list[int] = []

    def kill(stage: str, done: int, total: int) -> None:
        told.append(done)
        if done == 3:  # a step after the state of step 2
            raise KilledError

    config = with_fit(optimiser=optimiser)
    fit(task(config), tmp_path / "whole")
    with pytest.raises(KilledError):
        fit(task(config), tmp_path / "cut", progress=kill)
    rest = task(config)
    torch.manual_seed(99)  # whatever else draws from the global generator
    fit(rest, tmp_path / "cut", progress=lambda stage, done, total: told.append(done))
    assert told == [0, 1, 2, 3, 2, 3, 4, 5, 6]
    whole, cut = (read_tensors(tmp_path / name / STATE_FILE)[0] for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    assert any(name.startswith("moments.") for name in whole)
    for name in whole:
        assert torch.equal(whole[name], cut[name]), name
    log = (tmp_path / "cut" / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in log] == ["step", "2", "4", "6"]


def test_a_run_that_is_out_of_time_stops_saves_and_goes_on(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        card = fit(task(), tmp_path / "cut", minutes=0.0)
        assert card == read_card(tmp_path / "cut")
        assert card.step == step
        assert ("error" in card.metrics) == (step == 2)  # measured every second step
    assert fit(task(), tmp_path / "cut").step == 6
    fit(task(), tmp_path / "whole")
    whole, cut = (read_weights(tmp_path / name) for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    log = (tmp_path / "cut" / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in log] == ["step", "2", "4", "6"]
    assert all(row.count(",") == log[0].count(",") for row in log)


def test_the_gradient_of_a_step_is_clipped(tmp_path: Path) -> None:
    fit(task(with_fit(steps=1, optimiser="adam"), scale=1e6), tmp_path)
    found = read_tensors(tmp_path / STATE_FILE)[0]
    moments = [part for name, part in found.items() if name.endswith("exp_avg")]
    length = math.sqrt(sum(float(part.square().sum()) for part in moments))
    assert length == pytest.approx(0.1, rel=1e-3)  # Adam's first moment: a tenth of the gradient


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="diverged: the loss is nan at step 0"):
        fit(task(scale=math.nan), tmp_path)
    assert not (tmp_path / "model.json").exists()


def test_a_state_of_other_settings_or_data_is_refused(tmp_path: Path) -> None:
    fit(task(), tmp_path)
    with pytest.raises(InputError, match=r"other settings or data \(steps is 6, not 8\)"):
        fit(task(with_fit(steps=8)), tmp_path)
    with pytest.raises(InputError, match=r"\(noise is 0.1, not 0.2\)"):
        fit(task(dataclasses.replace(CONFIG, noise=0.2)), tmp_path)
    with pytest.raises(InputError, match=r"\(data is line, not curve\)"):
        fit(task(data="curve"), tmp_path)
    with pytest.raises(InputError, match=r"\(precision is 32-true, not bf16-mixed\)"):
        fit(task(), tmp_path, precision="bf16-mixed")


def test_a_setting_that_a_state_did_not_know_yet_had_its_default(tmp_path: Path) -> None:
    fit(task(), tmp_path, minutes=0.0)
    tensors, note = read_tensors(tmp_path / STATE_FILE)
    older = note["signature"].replace('"noise": 0.1, ', "")
    assert older != note["signature"]
    write_tensors(tmp_path / STATE_FILE, tensors, {**note, "signature": older})
    with pytest.raises(InputError, match=r"\(noise is 0.1, not 0.2\)"):
        fit(task(dataclasses.replace(CONFIG, noise=0.2)), tmp_path)
    assert fit(task(), tmp_path).step == 6


def test_a_damaged_state_is_said_and_the_training_begins_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit(task(with_fit(steps=2)), tmp_path)
    state = tmp_path / STATE_FILE
    whole = state.read_bytes()
    state.write_bytes(whole[:-9])
    assert fit(task(with_fit(steps=2)), tmp_path).step == 2
    assert "is damaged" in caplog.text
    assert state.read_bytes() == whole
    assert (tmp_path / f"{STATE_FILE}.damaged").read_bytes() == whole[:-9]


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_damaged_checkpoint_of_a_finished_training_is_written_again(
    tmp_path: Path, name: str
) -> None:
    fit(task(with_fit(steps=2)), tmp_path)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / name).write_bytes(b"{")
    assert fit(task(with_fit(steps=2)), tmp_path).step == 2
    assert (tmp_path / "model.safetensors").read_bytes() == weights
    assert read_card(tmp_path).step == 2


def test_a_damaged_log_goes_on(tmp_path: Path) -> None:
    fit(task(), tmp_path, minutes=0.0)
    log = tmp_path / "log.csv"
    log.write_bytes(b"step,loss\n1,0.5\n\xff,x\n\0,2\n")
    assert fit(task(), tmp_path).step == 6
    assert [line.split(",")[0] for line in log.read_text().splitlines()][-1] == "6"


def test_weights_that_are_frozen_stay(tmp_path: Path) -> None:
    frozen = task()
    first, last = frozen.network.get_submodule("0"), frozen.network.get_submodule("2")
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    first.requires_grad_(False)
    before = [part.weight.clone() for part in (first, last)]
    fit(frozen, tmp_path)
    assert torch.equal(first.weight, before[0])
    assert not torch.equal(last.weight, before[1])


def test_a_gpu_that_is_absent_is_said(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(InputError, match="needs a GPU"):
        fit(task(), tmp_path, accelerator="cuda")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_a_batch_that_does_not_fit_says_which_may(error: Exception) -> None:
    with (
        pytest.raises(InputError, match=r"a batch of 9 images .* half of it \(--batch 4\) may"),
        memory_told(9),
    ):
        raise error
    with pytest.raises(RuntimeError, match="something else"), memory_told(9):
        raise RuntimeError("something else")


def test_batches_made_ahead_by_processes_are_the_same(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    fit(task(), tmp_path / "one")
    fit(task(), tmp_path / "two", workers=2)
    one, two = (read_weights(tmp_path / name) for name in ("one", "two"))
    for name in one:
        assert torch.equal(one[name], two[name]), name
    assert torch.get_num_threads() == threads
    with pytest.raises(InputError, match="workers must be at least 0, got -1"):
        fit(task(), tmp_path / "three", workers=-1)


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(task(), tmp_path, minutes=0.0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    def full(tensors: object, path: Path, metadata: object) -> None:
        Path(path).write_bytes(b"half a file")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr("safetensors.torch.save_file", full)
        with pytest.raises(InputError, match=r"cannot write to .*No space left"):
            fit(task(), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert fit(task(), tmp_path).step == 6


def test_what_is_wrong_in_a_worker_is_one_sentence_too(tmp_path: Path) -> None:
    class Broken(SlopeTask):
        def batch(self, step: int, number: int) -> Batch:
            raise InputError("x must be a number, got none")

    plain = task()
    broken = Broken(config=plain.config, network=plain.network)
    with pytest.raises(InputError, match=r"^x must be a number, got none$"):
        fit(broken, tmp_path, workers=1)


def test_a_worker_without_memory_is_told() -> None:
    with pytest.raises(InputError, match="a batch of 8 images does not fit"), memory_told(8):
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed.")


def test_a_seed_below_0() -> None:
    with pytest.raises(InputError, match="seed must be at least 0, got -1"):
        FitConfig(seed=-1)
