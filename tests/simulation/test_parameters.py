"""Drawing, recording and reading back the parameters of a simulated X-ray."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.simulation.parameters import (
    SamplingRanges,
    XrayParameters,
    parameters_from_record,
    parameters_to_record,
    sample_parameters,
)

CAMERA = Camera(source_to_detector_mm=1020.0, rows=200, columns=300, pixel_spacing_mm=(0.8, 0.8))
MIXED = SamplingRanges(
    collimators={"none": 0.5, "circle": 0.3, "rectangle": 0.2},
    tool_counts={0: 0.6, 1: 0.2, 2: 0.2},
    tool_kinds={"rod": 0.2, "wire": 0.5, "screw": 0.3},
)


def _draw(seed: int) -> XrayParameters:
    ranges = SamplingRanges(
        collimators={"rectangle": 1.0}, tool_counts={2: 1.0}, tool_kinds={"rod": 1, "screw": 1}
    )
    return sample_parameters(np.random.default_rng(seed), CAMERA, ranges)


def test_same_seed_draws_the_same() -> None:
    assert _draw(3) == _draw(3)
    assert _draw(3) != _draw(4)


def test_ranges() -> None:
    for seed in range(50):
        drawn = _draw(seed)
        assert 0.2 <= drawn.scatter_fraction <= 0.6
        assert 5e4 * 0.64 <= drawn.photons <= 5e5 * 0.64  # a pixel is 0.64 mm2
        assert 60.0 <= drawn.tube_voltage_kv <= 110.0
        assert drawn.collimator.shape == "rectangle"
        assert len(drawn.tools) == 2
        for tool in drawn.tools:
            column, row = np.array(tool.points_px)[[0, -1]].mean(axis=0)
            assert -30 <= column <= 330
            assert -30 <= row <= 230
            assert tool.thickness_mm > 0


def test_plain_by_default() -> None:
    drawn = sample_parameters(np.random.default_rng(0), CAMERA)
    assert drawn.collimator.shape == "none"
    assert drawn.tools == ()


def test_shares_are_met() -> None:
    generator = np.random.default_rng(0)
    drawn = [sample_parameters(generator, CAMERA, MIXED) for _ in range(600)]
    shapes = Counter(one.collimator.shape for one in drawn)
    counts = Counter(len(one.tools) for one in drawn)
    kinds = Counter(tool.kind for one in drawn for tool in one.tools)
    assert [shapes[s] / 600 for s in MIXED.collimators] == pytest.approx([0.5, 0.3, 0.2], abs=0.06)
    assert [counts[n] / 600 for n in (0, 1, 2)] == pytest.approx([0.6, 0.2, 0.2], abs=0.06)
    fractions = [kinds[k] / kinds.total() for k in MIXED.tool_kinds]
    assert fractions == pytest.approx([0.2, 0.5, 0.3], abs=0.08)


def test_the_tube_voltage_rises_with_the_body() -> None:
    def mean_kv(thickness_mm: float) -> float:
        generator = np.random.default_rng(0)
        drawn = (
            sample_parameters(generator, CAMERA, body_thickness_mm=thickness_mm) for _ in range(50)
        )
        return sum(one.tube_voltage_kv for one in drawn) / 50

    assert mean_kv(150.0) == pytest.approx(70.0, abs=1.5)
    assert mean_kv(250.0) == pytest.approx(90.0, abs=1.5)
    assert mean_kv(1000.0) == 110.0


def test_small_pixels_get_fewer_quanta_and_less_noise() -> None:
    small = CAMERA.resized(800, 1200)
    coarse, fine = (sample_parameters(np.random.default_rng(1), c) for c in (CAMERA, small))
    assert fine.photons == pytest.approx(coarse.photons / 16.0)
    assert fine.electronic_noise == pytest.approx(coarse.electronic_noise / 4.0)
    assert fine.detector_blur_px == pytest.approx(coarse.detector_blur_px * 4.0)


def test_record_survives_json() -> None:
    drawn = _draw(0)
    record = json.loads(json.dumps(parameters_to_record(drawn)))
    assert parameters_from_record(record) == drawn


def test_records_from_before_the_beam_could_be_chosen_are_still_read() -> None:
    record = parameters_to_record(_draw(0))
    del record["tube_voltage_kv"], record["filtration"]
    for tool in record["tools"]:
        for name in ("kind", "metal", "tip_fraction", "thread_pitch_px", "thread_depth"):
            del tool[name]
    read = parameters_from_record(record)
    assert (read.tube_voltage_kv, read.filtration) == (90.0, "4Al+0.1Cu")
    assert [tool.kind for tool in read.tools] == ["rod", "rod"]


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "blue"},
        {"photons": "many"},
        {"photons": math.nan},
        {"collimator": 3},
        {"collimator": {"radius": 3}},
        {"collimator": {"shape": "star"}},
        {"collimator": {"centre": [1.0]}},
        {"tools": [{"radius_px": 1.0}]},
        {"tools": [{"points_px": [[1, 2]], "radius_px": 1.0, "thickness_mm": 1.0}]},
        {"tools": [{"points_px": [[1, 2], [3, 4]], "radius_px": 0.0, "thickness_mm": 1.0}]},
        {"tools": 4},
    ],
)
def test_records_of_something_else_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        parameters_from_record({**parameters_to_record(XrayParameters()), **change})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scatter_fraction", 1.0),
        ("photons", 0.0),
        ("gain", -1.0),
        ("tube_voltage_kv", 200.0),
        ("filtration", "gold"),
        ("focal_blur_px", -0.1),
    ],
)
def test_impossible_values_are_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name):
        XrayParameters(**{name: value})


def test_records_of_older_files_are_read() -> None:
    tool = {"points_px": [[1.0, 2.0], [3.0, 4.0]], "radius_px": 2.0, "thickness_mm": 5.0}
    record = {**parameters_to_record(XrayParameters()), "tools": [{**tool, "tip_share": 0.7}]}
    assert parameters_from_record(record).tools[0].tip_fraction == 0.7
