from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from wsreg.dicom.header import file_header
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.views import pose_towards
from wsreg.radiographs.orientation import opposite
from wsreg.radiographs.patient_view import (
    RAYS_TO,
    mirrored,
    orientation_note,
    patient_orientation,
    quarter_turns,
    view_position,
)


def dataset(**fields: Any) -> Dataset:
    made = Dataset()
    for keyword, value in fields.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["L", "F"], ("L", "F")),
        (["AL", "FR "], ("AL", "FR")),
        (["", ""], None),
        (["L"], None),
        (["L", "X"], None),
        (["L", "F", "P"], None),
    ],
)
def test_patient_orientation(value: list[str], expected: tuple[str, str] | None) -> None:
    header = file_header(dataset(PatientOrientation=value))
    assert patient_orientation(header) == expected


def code(value: str, meaning: str = "") -> Dataset:
    return dataset(ViewCodeSequence=Sequence([dataset(CodeValue=value, CodeMeaning=meaning)]))


@pytest.mark.parametrize(
    ("header", "view"),
    [
        (dataset(ViewPosition="AP"), "AP"),
        (dataset(ViewPosition="PA"), "PA"),
        (dataset(ViewPosition="LL"), "LAT"),
        (dataset(ViewPosition="RL"), "RLAT"),
        (dataset(ViewPosition="LLO"), None),
        (dataset(ViewPosition=""), None),
        (code("399348003"), "AP"),
        (code("R-10214"), "PA"),
        (code("local", "Left Lateral"), "LAT"),
        (code("399067008", "lateral"), None),
        (dataset(), None),
    ],
)
def test_view_position(header: Dataset, view: str | None) -> None:
    assert view_position(file_header(header), None) == view


@pytest.mark.parametrize(
    ("angles_deg", "view"),
    [((0, 0), "PA"), ((-10, 12), "PA"), ((90, 0), "LAT"), ((-85, 0), "RLAT"), ((175, 0), "AP"),
     ((-180, 3), "AP"), ((45, 0), None), ((0, 30), None)],
)  # fmt: skip
def test_view_of_angles(angles_deg: tuple[float, float], view: str | None) -> None:
    primary, secondary = map(math.radians, angles_deg)
    angles = CArmAngles(primary_rad=primary, secondary_rad=secondary)
    assert view_position(file_header(dataset()), angles) == view


LETTERS: dict[tuple[int, ...], str] = {
    (1, 0, 0): "L", (-1, 0, 0): "R", (0, 1, 0): "P",
    (0, -1, 0): "A", (0, 0, 1): "H", (0, 0, -1): "F",
}  # fmt: skip
CAMERA = Camera(source_to_detector_mm=1000.0, rows=4, columns=4, pixel_spacing_mm=(1.0, 1.0))


@pytest.mark.parametrize("view", sorted(RAYS_TO))
def test_what_the_named_views_show_needs_no_note(view: str) -> None:
    """The letters are those of the pose by which the CT itself is rendered in that view."""
    rotation = pose_towards(torch.zeros(3, dtype=torch.float64), CAMERA, view)[:3, :3].numpy()
    columns, rows, rays = (tuple(int(v) for v in np.round(axis)) for axis in rotation)
    directions = LETTERS[columns], LETTERS[rows]
    assert LETTERS[rays] == RAYS_TO[view]  # type: ignore[index]
    assert orientation_note(directions, view) is None
    note = orientation_note(mirrored(directions), view)
    assert note is not None
    assert "stored mirrored; mirror (--mirror)" in note


def test_usual_storage() -> None:
    """Left at the right of the image: as the camera saw it in AP, mirrored in PA."""
    assert orientation_note(("L", "F"), "AP") is None
    assert "mirrored" in (orientation_note(("L", "F"), "PA") or "")
    assert "mirrored" in (orientation_note(("LH", "FP"), "PA") or "")
    assert orientation_note(("R", "H"), "AP") is None  # head down is no mirror
    assert "contradict" in (orientation_note(("L", "F"), "LAT") or "")
    assert orientation_note(None, "PA") is None
    assert orientation_note(("L", "F"), None) is None
    assert "contradict" in (orientation_note(("L", "L"), "PA") or "")


QUARTERS: dict[str, tuple[tuple[str, str], ...]] = {
    "PA": (("R", "F"), ("H", "R"), ("L", "H"), ("F", "L")),
    "AP": (("L", "F"), ("H", "L"), ("R", "H"), ("F", "R")),
    "LAT": (("A", "F"), ("H", "A"), ("P", "H"), ("F", "P")),
    "RLAT": (("P", "F"), ("H", "P"), ("A", "H"), ("F", "A")),
}
"""Letters of images turned by 0 to 3 quarters, each of which brings what is right to the bottom."""


@pytest.mark.parametrize("view", sorted(QUARTERS))
@pytest.mark.parametrize("quarters", range(4))
def test_by_how_many_quarters_an_image_is_turned(view: str, quarters: int) -> None:
    """Mirrored columns change nothing, nor does a view and a patient a little turned."""
    centre_mm = torch.zeros(3, dtype=torch.float64)
    pose = pose_towards(centre_mm, CAMERA, view).numpy()
    columns, rows = QUARTERS[view][quarters]
    assert quarter_turns((columns, rows), pose) == quarters
    assert quarter_turns((opposite(columns), rows), pose) == quarters
    assert quarter_turns((columns, rows + columns), pose[:3, :3]) == quarters
    assert quarter_turns((columns, rows + opposite(columns)), pose) == quarters


@pytest.mark.parametrize(
    "directions", [None, ("R", ""), ("R", "X"), ("R", "FX"), ("R", "A"), ("F", "P"), ("X", "F")]
)
def test_letters_that_tell_no_turn(directions: tuple[str, str] | None) -> None:
    """None, unknown ones, and rows along the rays; columns are not asked."""
    pose = pose_towards(torch.zeros(3, dtype=torch.float64), CAMERA, "PA").numpy()
    assert quarter_turns(directions, pose) == 0


def test_an_oblique_view_counts_by_its_nearest_quarter() -> None:
    """30 degrees about the body's axis and 20 up: rows still run mostly to the feet."""
    angles = CArmAngles(primary_rad=math.radians(30.0), secondary_rad=math.radians(20.0))
    pose = pose_towards(torch.zeros(3, dtype=torch.float64), CAMERA, angles).numpy()
    for quarters, directions in enumerate(QUARTERS["PA"]):
        assert quarter_turns(directions, pose) == quarters
