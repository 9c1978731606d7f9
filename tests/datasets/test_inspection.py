from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from wsreg.cli.main import main
from wsreg.datasets.inspection import inspect_deepfluoro
from wsreg.errors import InputError

Change = Callable[[Callable[[h5py.File], None]], Path]


def test_a_whole_file(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = inspect_deepfluoro(published)
    assert report.problems == ()
    assert report.image_size == (40, 60)
    assert not report.virtual
    assert report.specimens[0].projections == 2
    assert report.specimens[0].published == 111
    assert main(["inspect", str(published)]) == 0
    said = capsys.readouterr().out
    assert "2 projections (published: 111), 1 stored head down" in said
    assert "complete" in said


def test_what_is_missing_or_wrong_is_listed(
    changed: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    def edit(file: h5py.File) -> None:
        del file["17-1882/vol-landmarks/FH-l"]
        del file["17-1882/vol-seg/labels-def/3"]
        file["17-1882/vol-seg/labels-def/3"] = "spine"
        del file["17-1882/projections/001/gt-seg/pixels"]
        file["17-1882/projections/001/gt-seg/pixels"] = np.zeros((3, 3), dtype=np.uint8)

    path = changed(edit)
    problems = inspect_deepfluoro(path).problems
    assert len(problems) == 3
    assert any("label 3 must be vertebrae" in problem for problem in problems)
    assert any("17-1882/001: gt-seg/pixels" in problem for problem in problems)
    assert main(["inspect", str(path)]) == 1
    assert "problem: " in capsys.readouterr().out


def test_neither_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match=r"proj-params .* or land-names .* it has x"):
        inspect_deepfluoro(path)
    assert main(["inspect", str(path)]) == 2
    assert "error" in capsys.readouterr().err
