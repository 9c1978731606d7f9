from __future__ import annotations

import json

import pytest

from wsreg.methods.preset import PRESETS, Preset


def test_the_papers_numbers() -> None:
    paper = PRESETS["paper"]
    assert paper.adam_steps == 250
    assert (paper.encoder.fit.learning_rate, paper.encoder.fit.steps) == (1e-3, 1300 * 100)
    unet, medsam = paper.segmentation("unet", 300).fit, paper.segmentation("medsam", 300).fit
    assert (unet.optimiser, unet.learning_rate, unet.steps) == ("adam", 0.1, 500 * 38)
    assert (medsam.optimiser, medsam.learning_rate, medsam.steps) == ("adamw", 1e-3, 400 * 38)
    assert paper.begin_with is None


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_records_are_plain(preset: Preset) -> None:
    assert json.loads(json.dumps(preset.record())) == preset.record()
    unet, encoder = preset.training_record("unet"), preset.training_record("encoder")
    assert json.loads(json.dumps(unet)) == unet
    assert unet["architecture"] == "unet"
    assert encoder["steps"] == preset.encoder.fit.steps
    begun = preset.begin_segmentation_with
    assert unet["begin_with"] == (None if begun is None else str(begun))


def test_what_begins_with_networks_of_the_package() -> None:
    small, paper = PRESETS["small"], PRESETS["paper"]
    assert str(small.begin_segmentation_with) == str(small.begin_with) == "generic"
    assert paper.begin_segmentation_with is None
