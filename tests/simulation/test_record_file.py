"""parameters.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.simulation.parameters import SamplingRanges, sample_parameters
from wsreg.simulation.record_file import read_xray_record, xray_record

CAMERA = Camera(source_to_detector_mm=1020.0, rows=64, columns=64, pixel_spacing_mm=(2.0, 2.0))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    ranges = SamplingRanges(tool_counts={2: 1.0}, tool_kinds={"screw": 1.0, "wire": 1.0})
    parameters = sample_parameters(np.random.default_rng(0), CAMERA, ranges)
    path = tmp_path / "parameters.json"
    path.write_text(json.dumps(xray_record(parameters, 17)))
    assert read_xray_record(path) == (parameters, 17)


@pytest.mark.parametrize(
    "content",
    [
        {"seed": 1},
        {"seed": -1, "parameters": {}},
        {"seed": 1.5, "parameters": {}},
        {"seed": 1, "parameters": []},
        {"seed": 1, "parameters": {"gain": 0.0}},
        {"seed": 1, "parameters": {"colour": "blue"}},
    ],
)
def test_anything_else_is_refused_by_the_name_of_the_file(
    tmp_path: Path, content: dict[str, object]
) -> None:
    path = tmp_path / "parameters.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"parameters\.json"):
        read_xray_record(path)
