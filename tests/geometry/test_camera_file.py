from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wsreg.errors import InputError
from wsreg.geometry.calibration_file import read_camera
from wsreg.geometry.camera import Camera
from wsreg.geometry.camera_file import camera_record

FIELDS = {
    "source_to_detector_mm": 1020.0,
    "rows": 1536,
    "columns": 1436,
    "pixel_spacing_mm": [0.194, 0.2],
    "principal_point_px": [767.5, 700.0],
}


def write(folder: Path, fields: Any) -> Path:
    path = folder / "camera.json"
    path.write_text(json.dumps(fields))
    return path


def test_the_fields_are_the_camera(tmp_path: Path) -> None:
    assert read_camera(write(tmp_path, FIELDS)) == Camera(
        source_to_detector_mm=1020.0,
        rows=1536,
        columns=1436,
        pixel_spacing_mm=(0.194, 0.2),
        principal_point_px=(767.5, 700.0),
    )


@pytest.mark.parametrize("point", ["left out", None])
def test_the_principal_point_may_be_left_out(tmp_path: Path, point: str | None) -> None:
    fields = {**FIELDS, "principal_point_px": None}
    if point == "left out":
        del fields["principal_point_px"]
    assert read_camera(write(tmp_path, fields)).centre_px == (717.5, 767.5)


def test_what_is_written_is_read_back(tmp_path: Path, camera: Camera) -> None:
    assert read_camera(write(tmp_path, camera_record(camera))) == camera


@pytest.mark.parametrize("name", ["source_to_detector_mm", "rows", "columns", "pixel_spacing_mm"])
def test_a_missing_field_is_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, {k: v for k, v in FIELDS.items() if k != name})
    with pytest.raises(InputError, match=rf"camera\.json lacks {name}$"):
        read_camera(path)


@pytest.mark.parametrize(
    ("name", "value", "got"),
    [
        ("source_to_detector_mm", 0, "0"),
        ("source_to_detector_mm", "1020", "'1020'"),
        ("source_to_detector_mm", float("nan"), "nan"),
        ("rows", -1536, "-1536"),
        ("rows", float("nan"), "nan"),
        ("rows", True, "True"),
        ("columns", 1536.5, "1536.5"),
        ("columns", None, "None"),
        ("pixel_spacing_mm", 0.194, "0.194"),
        ("pixel_spacing_mm", [0.194, 0], r"\[0.194, 0\]"),
        ("pixel_spacing_mm", [[1], 2], r"\[\[1\], 2\]"),
        ("principal_point_px", [1, 2, 3], r"\[1, 2, 3\]"),
    ],
)
def test_a_bad_value_is_named_with_its_file_and_field(
    tmp_path: Path, name: str, value: Any, got: str
) -> None:
    path = write(tmp_path, {**FIELDS, name: value})
    with pytest.raises(InputError, match=rf"camera\.json: camera {name} must be .*, got {got}$"):
        read_camera(path)


def test_an_unknown_field_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown fields sdd; known are source_to_detector_mm, "):
        read_camera(write(tmp_path, {**FIELDS, "sdd": 1020}))
