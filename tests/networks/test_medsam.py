from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from wsreg.errors import InputError
from wsreg.networks.medsam import (
    ABSENT_LOGIT,
    FROM_SCRATCH,
    MedSam,
    load_medsam,
    scaled_boxes,
    windowed,
)


def test_one_mask_for_each_box_none_without_a_box(sam_config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = MedSam(sam_config)
    boxes = torch.tensor([[[4.0, 4.0, 20.0, 20.0], [math.nan] * 4]])
    logits = network(torch.rand(1, 1, 32, 32), boxes)
    assert logits.shape == (1, 2, 32, 32)
    assert bool((logits[0, 1] == ABSENT_LOGIT).all())
    assert bool(torch.isfinite(logits).all())
    assert float(logits[0, 0].detach().std()) > 0


def test_positions_are_told_by_waves_as_long_as_the_image() -> None:
    torch.manual_seed(0)
    sam = MedSam(FROM_SCRATCH).sam
    corners = torch.tensor([[[[10.0, 10.0], [11.0, 10.0], [80.0, 80.0]]]])
    encoded = sam.prompt_encoder.shared_embedding(corners, (96, 96))[0, 0].detach()
    near, far = torch.nn.functional.cosine_similarity(encoded[:1], encoded[1:])
    assert float(near) > 0.95
    assert abs(float(far)) < 0.6
    for tokens in (sam.mask_decoder.mask_tokens.weight, sam.prompt_encoder.point_embed[0].weight):
        assert float(tokens.detach().std()) > 0.5


def test_the_image_gets_a_gradient(sam_config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 1, 32, 32, requires_grad=True)
    boxes = torch.tensor([[[4.0, 4.0, 20.0, 20.0]]])
    MedSam(sam_config)(image, boxes).sigmoid().mean().backward()
    assert image.grad is not None
    assert float(image.grad.abs().max()) > 0


def test_the_window_spans_zero_to_one_whatever_the_unit() -> None:
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    window = windowed(image)
    assert float(window.min()) == 0.0
    assert float(window.max()) == 1.0
    assert torch.allclose(windowed(40.0 * image - 7.0), window, atol=1e-4)
    assert bool(torch.isfinite(windowed(torch.ones(1, 1, 8, 8))).all())


def test_weights_from_a_folder_leave_only_the_mask_decoder_to_train(
    sam_config: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    network = MedSam(sam_config)
    network.sam.save_pretrained(tmp_path)
    capfd.readouterr()
    loaded = load_medsam(tmp_path)
    assert capfd.readouterr().err == ""
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    trainable = {n.split(".")[1] for n, p in loaded.named_parameters() if p.requires_grad}
    assert trainable == {"mask_decoder"}


def test_a_folder_without_weights_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(InputError, match=r"must hold .* model.safetensors .* pytorch_model.bin"):
        load_medsam(tmp_path)
    with pytest.raises(InputError, match="it has nothing"):
        load_medsam(tmp_path / "absent")


def test_weights_that_are_none_or_not_all_there_are_refused(
    sam_config: dict[str, Any], tmp_path: Path
) -> None:
    network = MedSam(sam_config)
    network.sam.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = load_file(weights)
    some = {name: part for name, part in whole.items() if not name.startswith("mask_decoder")}
    save_file(some, weights, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"must hold all weights of a SAM, .* mask_decoder"):
        load_medsam(tmp_path)
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(InputError, match="holds no readable weights"):
        load_medsam(tmp_path)


def test_quantiles_of_an_image_of_many_pixels() -> None:
    image = torch.linspace(0.0, 1.0, 4100 * 4100).reshape(1, 1, 4100, 4100)
    assert float(windowed(image).mean()) == pytest.approx(0.5, abs=1e-3)


def test_another_architecture_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    with pytest.raises(InputError, match="of the type sam, got bert"):
        load_medsam(tmp_path)


def test_a_box_around_everything_stays_so_when_resampled() -> None:
    whole = torch.tensor([-0.5, -0.5, 99.5, 49.5])  # pixel edges
    assert scaled_boxes(whole, (50, 100), (25, 200)).tolist() == [-0.5, -0.5, 199.5, 24.5]
