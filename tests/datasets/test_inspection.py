from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from wsreg.cli.main import main
from wsreg.datasets.inspection import inspect_deepfluoro
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.errors import InputError

Change = Callable[[Callable[[h5py.File], None]], Path]


def test_a_whole_file(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = inspect_deepfluoro(published)
    assert report.problems == ()
    assert report.image_size == (40, 60)
    assert not report.virtual
    (specimen,) = report.specimens
    assert specimen.projections == 2
    assert specimen.published == 111
    assert specimen.femurs == (2, 0)
    assert specimen.ct_range_hu == (60.0, 89.0)  # slice 2 of 4
    assert specimen.xray_range == (1000.0, 20000.0)
    assert specimen.labels[3] == "4 upper-sacrum"
    assert specimen.landmark_distance_px is not None
    assert specimen.landmark_distance_px < 1e-3
    assert main(["inspect", str(published)]) == 0
    said = capsys.readouterr().out
    assert "2 projections (published: 111), 1 stored head down" in said
    assert "complete" in said
    assert "px of the 2D ones" in said


def test_what_is_missing_or_wrong_is_listed(
    changed: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    def edit(file: h5py.File) -> None:
        del file["17-1882/vol-landmarks/FH-l"]
        del file["17-1882/vol-seg/labels-def/3"]
        del file["17-1882/projections/001/gt-seg/pixels"]
        file["17-1882/projections/001/gt-seg/pixels"] = np.zeros((3, 3), dtype=np.uint8)

    path = changed(edit)
    landmark, label, pixels = sorted(
        inspect_deepfluoro(path).problems, key=lambda p: ("labels" in p) + 2 * ("pixels" in p)
    )
    assert "/17-1882 must have the dataset vol-landmarks/FH-l, which is missing" in landmark
    assert "/17-1882 must have the dataset vol-seg/labels-def/3, which is missing" in label
    assert "/17-1882/projections/001/gt-seg/pixels must have the shape 40x60, got [3, 3]" in pixels
    assert main(["inspect", str(path)]) == 1
    assert "problem: " in capsys.readouterr().out


def test_other_spellings_and_more_labels_are_no_problem(changed: Change) -> None:
    def edit(file: h5py.File) -> None:
        del file["17-1882/vol-seg/labels-def/3"]
        file["17-1882/vol-seg/labels-def/3"] = "vertebra"
        file["17-1882/vol-seg/labels-def/7"] = "lower-sacrum"

    report = inspect_deepfluoro(changed(edit))
    assert report.problems == ()
    assert report.specimens[0].labels[6] == "7 lower-sacrum"


def test_poses_that_miss_the_landmarks_show(changed: Change) -> None:
    def edit(file: h5py.File) -> None:
        file["17-1882/projections/001/gt-landmarks/FH-l"][0] += 3.0

    (specimen,) = inspect_deepfluoro(changed(edit)).specimens
    assert specimen.landmark_distance_px == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize(
    "name", ["17-1882", "17-1882/projections", "17-1882/projections/001", "17-1882/vol/spacing"]
)
@pytest.mark.parametrize("other", ["hello", 1.5, [np.nan, 1.0, 1.0]])
def test_anything_else_in_its_place_is_a_problem(changed: Change, name: str, other: object) -> None:
    def edit(file: h5py.File) -> None:
        del file[name]
        file[name] = other

    path = changed(edit)
    *_, last = name.split("/")
    assert any(last in problem for problem in inspect_deepfluoro(path).problems)
    with pytest.raises(InputError, match=last), DeepFluoroFile(path) as file:
        list(file.samples())


def test_neither_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match=r"proj-params .* or land-names .* it has x"):
        inspect_deepfluoro(path)
    assert main(["inspect", str(path)]) == 2
    assert "error" in capsys.readouterr().err
