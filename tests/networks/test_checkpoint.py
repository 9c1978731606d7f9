from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from wsreg.errors import InputError
from wsreg.networks.checkpoint import (
    ModelCard,
    load_network,
    load_weights,
    read_card,
    read_weights,
    save_checkpoint,
)
from wsreg.networks.generic import FOLDER, SEGMENTER_FOLDERS

CARD = ModelCard(
    kind="unet",
    config={"channels": [4, 8], "output": "sigmoid"},
    roi_names=("a", "b"),
    size_px=16,
    data_sha256="0" * 64,
    held_out=("17-1882",),
    step=7,
    wsreg="0.1.0",
    metrics={"dice": 0.5},
)


def test_card_and_weights_come_back_as_they_were(tmp_path: Path) -> None:
    weights = {"w": torch.randn(3, 2), "b": torch.arange(2)}
    save_checkpoint(tmp_path / "m", CARD, weights)
    assert read_card(tmp_path / "m") == CARD
    found = read_weights(tmp_path / "m")
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "model.json",
        "model.safetensors",
    ]


def test_who_may_read_the_card_may_read_the_weights(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, CARD, {"w": torch.ones(1)})
    card, weights = (tmp_path / name for name in ("model.json", "model.safetensors"))
    assert card.stat().st_mode == weights.stat().st_mode


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
def test_pickles_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    torch.save({"w": torch.ones(2)}, path)
    with pytest.raises(InputError, match=r"pickled checkpoints .* are not read"):
        read_card(path)


def test_a_folder_without_a_model_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "model.pt").touch()
    with pytest.raises(InputError, match=r"must hold model.safetensors .* it has model.pt"):
        read_card(tmp_path)
    with pytest.raises(InputError, match="it has nothing"):
        read_card(tmp_path / "absent")


def test_a_card_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, CARD, {"w": torch.ones(1)})
    for text in ("{", json.dumps({"kind": "unet"}), "[]"):
        (tmp_path / "model.json").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="is no model card"):
            read_card(tmp_path)


def test_a_card_that_was_changed_is_no_other_network(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, CARD, {"w": torch.ones(1)})
    path = tmp_path / "model.json"
    text = path.read_text(encoding="utf-8")
    changed = text.replace('"size_px": 16', '"size_px": 17')
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(InputError, match=r"model\.json is no model card: .* it is garbled"):
        read_card(tmp_path)


def test_cards_that_come_with_the_package_are_read() -> None:
    for folder in (FOLDER, *SEGMENTER_FOLDERS.values()):
        assert read_card(folder).step > 0


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, CARD, {"w": torch.ones(1)})
    (tmp_path / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00nonsense")
    with pytest.raises(InputError, match="cannot be read"):
        read_weights(tmp_path)


def test_a_network_that_finds_no_regions_has_a_card_too(tmp_path: Path) -> None:
    card = ModelCard(kind="encoder", config={"outputs": 6}, size_px=64, held_out=("17-1882",))
    save_checkpoint(tmp_path, card, {"w": torch.ones(1)})
    assert read_card(tmp_path) == card
    assert read_card(tmp_path).roi_names == ()


def test_a_card_written_before_is_read(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, CARD, {"w": torch.ones(1)})
    text = """{"kind": "unet", "config": {"channels": [4, 8], "output": "sigmoid"},
        "roi_names": ["a", "b"], "size_px": 16, "data_sha256": "abc", "held_out": ["17-1882"],
        "step": 7, "wsreg": "0.1.0", "from_scratch": false, "metrics": {"loss": 0.5}}"""
    (tmp_path / "model.json").write_text(text, encoding="utf-8")
    card = read_card(tmp_path)
    assert (card.kind, card.roi_names, card.held_out) == ("unet", ("a", "b"), ("17-1882",))
    assert card.metrics == {"loss": 0.5}


def test_weights_go_into_the_network_that_they_are_of(tmp_path: Path) -> None:
    weights = {"weight": torch.full((1, 2), 3.0), "bias": torch.zeros(1)}
    network = nn.Linear(2, 1)
    load_weights(network, weights, tmp_path)
    assert network.weight.tolist() == [[3.0, 3.0]]
    with pytest.raises(InputError, match=r"weight must be \(1, 3\), got \(1, 2\)"):
        load_weights(nn.Linear(3, 1), weights, tmp_path)
    with pytest.raises(InputError, match="bias must be absent, got"):
        load_weights(nn.Linear(2, 1, bias=False), weights, tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    network = nn.Linear(3, 2)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    weights["bias"][1] = value
    with pytest.raises(InputError, match=r"must have finite weights, bias holds NaN or infinity"):
        load_weights(network, weights, tmp_path)


def test_a_network_is_loaded_for_use(tmp_path: Path) -> None:
    trained = nn.Linear(3, 2)
    save_checkpoint(tmp_path, CARD, trained.state_dict())
    found = load_network(lambda: nn.Linear(3, 2), tmp_path)
    assert torch.equal(found.weight, trained.weight)
    assert not found.training
    assert not found.weight.requires_grad


def test_a_card_takes_no_memory_that_the_weights_do_not_need(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, CARD, nn.Linear(3, 2).state_dict())
    with pytest.raises(InputError, match=r"must be \(1099511627776,\), got \(2,\)"):
        load_network(lambda: nn.Linear(1 << 20, 1 << 40), tmp_path)  # 4 exabytes
