"""Landmarks: which are taken, and the files that they come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.landmarks import Landmarks, read_ct_landmarks, read_landmarks

CT = {"left-asis": [80.0, -20.0, 30.0], "right-asis": [-80.0, -20.0, 30.0], "sp": [0.0, -30.0, -60]}
SEEN = {"left-asis": [10.0, 20.0], "right-asis": [90.0, 20.0], "sp": [50.0, 70.0]}


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_file_of_both_is_matched_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "marks.json", {"image_px": {"sp": SEEN["sp"], "left-asis": [1, 2]},
                                           "ct_mm": CT})  # fmt: skip
    found = read_landmarks(path, "xray")
    assert found.names == ("sp", "left-asis")
    assert found.pixels.tolist() == [[50.0, 70.0], [1.0, 2.0]]
    assert found.points_mm.tolist() == [CT["sp"], CT["left-asis"]]


def test_a_file_of_several_xrays_has_an_entry_for_each(tmp_path: Path) -> None:
    path = write(tmp_path / "marks.json", {"image_px": {"a": SEEN, "b": {**SEEN, "sp": [0, 0]}}})
    of_ct = write(tmp_path / "ct.json", CT)
    assert read_landmarks(path, "b", of_ct).pixels[2].tolist() == [0.0, 0.0]
    with pytest.raises(InputError, match="must have an entry for X-ray c, it has a, b"):
        read_landmarks(path, "c", of_ct)
    with pytest.raises(InputError, match=r"or come with a file of these \(--ct-landmarks\)"):
        read_landmarks(path, "a")


def test_landmarks_that_the_ct_lacks_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "marks.json", {"image_px": {**SEEN, "nose": [1, 1]}, "ct_mm": CT})
    with pytest.raises(InputError, match="left-asis, right-asis, sp; it lacks nose"):
        read_landmarks(path, "xray")


@pytest.mark.parametrize(
    ("count", "points", "said"),
    [
        (1, [[0.0, 0, 0]], r"at least 2 that both X-ray and CT have, got 1 \(a\)"),
        (3, [[0.0, 0, 0], [1, 1, 1], [2, 2, 2.0]], "must not lie on one line, .* got a, b, c"),
        (2, [[1.0, 2, 3], [1, 2, 3]], "must lie apart, a, b are one point"),
        (2, [[1.0, 2, float("nan")], [1, 2, 3]], "landmarks points_mm must be 2 x 3 finite"),
    ],
)
def test_what_determines_no_pose_is_refused(count: int, points: Any, said: str) -> None:
    names = tuple("abc"[:count])
    with pytest.raises(InputError, match=said):
        Landmarks(names=names, points_mm=points, pixels=torch.zeros(count, 2))


def test_two_landmarks_are_enough() -> None:
    points, pixels = torch.tensor([[0, 0, 0], [9, 0, 0]]), torch.tensor([[1, 2], [3, 4]])
    found = Landmarks(names=("a", "b"), points_mm=points, pixels=pixels)
    assert found.mirrored(10).pixels.tolist() == [[8.0, 2.0], [6.0, 4.0]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], 'must be JSON with "image_px"'),
        ({"image_px": {"a": [1, 2, 3], "b": [1, 2]}, "ct_mm": CT}, "landmark a of .* must be 2"),
        ({"image_px": {}, "ct_mm": CT}, "must name points, got"),
        ({"image_px": SEEN, "ct_mm": {"sp": "here"}}, "landmark sp of .* must be 3 finite"),
    ],
)
def test_another_file_is_an_error(content: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        read_landmarks(write(tmp_path / "marks.json", content), "xray")


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_markups_of_slicer_are_read_in_either_frame(system: str, tmp_path: Path) -> None:
    sign = 1.0 if system == "LPS" else -1.0
    points = [{"label": "sp", "position": [sign * 1.0, sign * 2.0, 3.0]}]
    path = write(
        tmp_path / "F.mrk.json",
        {"markups": [{"coordinateSystem": system, "controlPoints": points}]},
    )
    assert read_ct_landmarks(path) == {"sp": [1.0, 2.0, 3.0]}


def test_fiducials_of_older_slicers_are_read(tmp_path: Path) -> None:
    lines = (
        "# Markups fiducial file version = 4.11\n# CoordinateSystem = RAS\n"
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
        "1,-1.5,-2.5,3,0,0,0,1,1,1,0,sp,,\n"
    )
    assert read_ct_landmarks(write(tmp_path / "F.fcsv", lines)) == {"sp": [1.5, 2.5, 3.0]}
    bad = lines.replace("-2.5", "x")
    with pytest.raises(InputError, match=r"landmark sp of .* must be 3 finite numbers"):
        read_ct_landmarks(write(tmp_path / "G.fcsv", bad))
    with pytest.raises(InputError, match="must say CoordinateSystem = LPS or RAS"):
        read_ct_landmarks(write(tmp_path / "H.fcsv", lines.replace("RAS", "?")))


def test_markups_without_points_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold control points, it has none"):
        read_ct_landmarks(write(tmp_path / "F.mrk.json", {"markups": []}))


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (["x"], "must hold control points, got 'x'"),
        (None, "must hold control points, it has none"),
        ([{"label": "F", "position": [1, 2, 3]}] * 2, "names of their own, 'F' comes twice"),
    ],
)
def test_markups_that_are_none_or_of_one_name_are_an_error(
    points: Any, said: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "F.mrk.json", {"markups": [{"controlPoints": points}]})
    with pytest.raises(InputError, match=said):
        read_ct_landmarks(path)


def test_a_point_that_was_never_placed_in_slicer_is_left_out(tmp_path: Path) -> None:
    points = [
        {"label": "sp", "position": [1, 2, 3], "positionStatus": "defined"},
        {"label": "tip", "position": [0, 0, 0], "positionStatus": "undefined"},
    ]
    path = write(tmp_path / "F.mrk.json", {"markups": [{"controlPoints": points}]})
    assert read_ct_landmarks(path) == {"sp": [1.0, 2.0, 3.0]}


def test_fiducials_without_a_frame_or_with_a_name_twice_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must say CoordinateSystem"):
        read_ct_landmarks(write(tmp_path / "F.fcsv", "# CoordinateSystem\na,b\n"))
    row = "1,1,2,3,0,0,0,1,1,1,0,sp,,\n"
    with pytest.raises(InputError, match="'sp' comes twice"):
        read_ct_landmarks(write(tmp_path / "G.fcsv", f"# CoordinateSystem = LPS\n{row}{row}"))


def test_one_entry_for_several_xrays_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "marks.json", {"image_px": SEEN, "ct_mm": CT})
    assert read_landmarks(path, "a").names == tuple(SEEN)
    with pytest.raises(InputError, match=r"for each of several X-rays.* got one for all"):
        read_landmarks(path, "a", several=True)


@pytest.mark.parametrize(
    ("pixel", "point_mm", "said"),
    [
        ((108.9, -9.9), (149.0, 0.0, 0.0), ""),  # a tenth beside the image; beside a CT of 100 mm
        ((109.1, 0.0), (0.0, 0.0, 0.0), "landmark b must lie in the X-ray of 100 columns and 80"),
        ((0.0, 89.1), (0.0, 0.0, 0.0), r"80 rows, .* got \[0.0, 89.1\]"),
        ((1e300, 0.0), (0.0, 0.0, 0.0), "must lie in the X-ray"),
        ((0.0, 0.0), (151.0, 0.0, 0.0), "landmark b must lie in the CT or near it"),
        ((0.0, 0.0), (1e300, 0.0, 0.0), "must lie in the CT or near it"),
    ],
)
def test_landmarks_lie_in_the_image_and_near_the_ct(
    pixel: tuple[float, float], point_mm: tuple[float, float, float], said: str
) -> None:
    camera = Camera(source_to_detector_mm=1000.0, rows=80, columns=100, pixel_spacing_mm=(2.0, 2.0))
    corners = torch.cartesian_prod(*[torch.tensor([-50.0, 50.0], dtype=torch.float64)] * 3)
    found = Landmarks(
        names=("a", "b"),
        points_mm=torch.tensor([[0.0, 9.0, 0.0], point_mm], dtype=torch.float64),
        pixels=torch.tensor([[5.0, 5.0], pixel], dtype=torch.float64),
    )
    if not said:
        found.check_fits(camera, corners)
        return
    with pytest.raises(InputError, match=said):
        found.check_fits(camera, corners)
