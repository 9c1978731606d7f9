from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import wsreg.methods.artefact as artefacts
from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.files.hashes import sha256_of
from wsreg.methods.artefact import Artefact, encoder_config, is_made, make_artefact, with_needs
from wsreg.methods.preset import PRESETS, Preset
from wsreg.networks.checkpoint import read_card, read_weights
from wsreg.volumes.identity import ct_sha256

UNET = Artefact(kind="unet", specimen="17-1882")
ENCODER = Artefact(kind="encoder", specimen="17-1882", losses="geo-ncc-roi")


def test_names_are_folders() -> None:
    assert UNET.name == "unet-17-1882"
    assert ENCODER.name == "encoder-geo-ncc-roi-17-1882"
    assert Artefact(kind="encoder", specimen="a", losses="geo").name == "encoder-geo-a"


@pytest.mark.parametrize(("kind", "losses"), [("encoder", ""), ("unet", "geo"), ("encoder", "ncc")])
def test_losses_are_an_encoders(kind: Any, losses: Any) -> None:
    with pytest.raises(InputError, match="losses of an artefact must be one of geo, geo-ncc"):
        Artefact(kind=kind, specimen="a", losses=losses)


def test_what_is_needed_comes_first_and_once() -> None:
    plain = Artefact(kind="encoder", specimen="17-1882", losses="geo-ncc")
    assert with_needs((ENCODER, UNET, plain)) == (UNET, ENCODER, plain)


def test_losses_choose_the_weights_of_the_paper() -> None:
    found = {losses: encoder_config(PRESETS["paper"], losses) for losses in ("geo", "geo-ncc-roi")}
    weights = {
        losses: (one.geodesic_weight, one.image_weight, one.roi_weight)
        for losses, one in found.items()
    }
    assert weights == {"geo": (1e-2, 0.0, 0.0), "geo-ncc-roi": (1e-2, 1.0, 1e-1)}


def test_networks_of_regions_have_not_seen_the_specimen(folders: Mapping[str, Path]) -> None:
    for kind in ("unet", "medsam"):
        card = read_card(folders[f"{kind}-17-1882"])
        assert (card.kind, card.held_out, card.step) == (kind, ("17-1882",), 2)
        assert not (folders[f"{kind}-17-1882"] / "layers").exists()


def test_encoders_have_learnt_the_ct(folders: Mapping[str, Path], sample: Sample) -> None:
    for losses in ("geo", "geo-ncc", "geo-ncc-roi"):
        card = read_card(folders[f"encoder-{losses}-17-1882"])
        assert card.data_sha256 == ct_sha256(sample.volume)


def test_losses_make_a_difference(folders: Mapping[str, Path]) -> None:
    weights = {
        sha256_of(folders[f"encoder-{losses}-17-1882"] / "model.safetensors")
        for losses in ("geo", "geo-ncc", "geo-ncc-roi")
    }
    assert len(weights) == 3


def test_what_is_finished_is_left_alone(
    folders: Mapping[str, Path], cohort: Path, tiny: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artefacts, "fit", None)
    for one in (UNET, ENCODER):
        make_artefact(one, cohort, folders[one.name], folders, tiny)


def test_what_is_not_finished_is_not_made(
    folders: Mapping[str, Path], cohort: Path, tiny: Preset, tmp_path: Path
) -> None:
    assert not is_made(UNET, cohort, tmp_path, {}, tiny)
    assert not is_made(ENCODER, cohort, folders[ENCODER.name], {UNET.name: tmp_path}, tiny)


def test_an_artefact_record_that_was_changed_is_damaged_and_one_without_check_sum_is_read(
    folders: Mapping[str, Path],
    cohort: Path,
    tiny: Preset,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "unet"
    shutil.copytree(folders[UNET.name], folder)
    record = folder / "artefact.json"
    fields = json.loads(record.read_text())
    record.write_text(json.dumps({**fields, "settings": {}}))
    assert not is_made(UNET, cohort, folder, {}, tiny)
    assert f"{record} cannot be read: it is garbled" in caplog.text
    fields.pop("crc32")
    record.write_text(json.dumps(fields))
    assert is_made(UNET, cohort, folder, {}, tiny)


def test_other_settings_are_refused(
    folders: Mapping[str, Path], cohort: Path, tiny: Preset
) -> None:
    longer = dataclasses.replace(tiny.encoder, fit=dataclasses.replace(tiny.encoder.fit, steps=9))
    other = dataclasses.replace(tiny, encoder=longer)
    assert is_made(UNET, cohort, folders[UNET.name], folders, other)  # the encoder's, not its own
    with pytest.raises(InputError, match="differs in settings; name another folder or delete it"):
        is_made(ENCODER, cohort, folders[ENCODER.name], folders, other)


def test_networks_of_regions_begin_where_the_preset_says(
    folders: Mapping[str, Path],
    cohort: Path,
    tiny: Preset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(artefacts, "fit", lambda task, folder, **options: begun.append(task))
    preset = dataclasses.replace(tiny, begin_segmentation_with=folders[UNET.name])
    make_artefact(UNET, cohort, tmp_path, {}, preset)
    weights = begun[0].network.state_dict()
    assert all(
        torch.equal(weights[name], tensor)
        for name, tensor in read_weights(folders[UNET.name]).items()
    )
    assert is_made(UNET, cohort, folders[UNET.name], folders, tiny)
    with pytest.raises(InputError, match="differs in settings"):  # that one began with nothing
        is_made(UNET, cohort, folders[UNET.name], folders, preset)


def test_nothing_left_to_train_on(cohort: Path, tiny: Preset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hold-out must name specimens of the data set"):
        make_artefact(Artefact(kind="unet", specimen="no"), cohort, tmp_path, {}, tiny)
