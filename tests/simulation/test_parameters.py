"""Drawing, recording and reading back the parameters of a simulated X-ray."""

from __future__ import annotations

import json

import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.simulation.parameters import (
    XrayParameters,
    parameters_from_record,
    parameters_to_record,
    sample_parameters,
)

CAMERA = Camera(source_to_detector_mm=1020.0, rows=200, columns=300, pixel_spacing_mm=(0.8, 0.8))


def _draw(seed: int) -> XrayParameters:
    generator = np.random.default_rng(seed)
    return sample_parameters(generator, CAMERA, collimator="rectangle", tools=2)


def test_same_seed_draws_the_same() -> None:
    assert _draw(3) == _draw(3)
    assert _draw(3) != _draw(4)


def test_ranges() -> None:
    for seed in range(50):
        drawn = _draw(seed)
        assert 0.2 <= drawn.scatter_fraction <= 0.6
        assert 3e4 <= drawn.photons <= 3e5
        assert drawn.collimator.shape == "rectangle"
        assert len(drawn.tools) == 2
        for tool in drawn.tools:
            columns, rows = zip(*tool.points_px, strict=True)
            assert 75 <= columns[1] <= 225  # the middle of a tool is in the middle of the image
            assert 50 <= rows[1] <= 150
            assert tool.thickness_mm > 0


def test_plain_by_default() -> None:
    drawn = sample_parameters(np.random.default_rng(0), CAMERA)
    assert drawn.collimator.shape == "none"
    assert drawn.tools == ()


def test_record_survives_json() -> None:
    drawn = _draw(0)
    record = json.loads(json.dumps(parameters_to_record(drawn)))
    assert parameters_from_record(record) == drawn


@pytest.mark.parametrize(
    ("name", "value"), [("scatter_fraction", 1.0), ("photons", 0.0), ("gain", -1.0)]
)
def test_impossible_values_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        XrayParameters(**{name: value})
