"""``wsreg reproduce`` from a file to tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsreg.cli.main import main
from wsreg.cohort.build import build_cohort
from wsreg.cohort.presets import Preset
from wsreg.specimens.specimen import Detail

COARSE = Preset(
    name="coarse",
    xrays={"17-1882": 1, "18-2799": 1},
    ct_mm=6.0,
    image_px=48,
    detail=Detail(bone_mm=3.0, body_mm=6.0),
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cohort") / "cohort.h5"
    build_cohort(path, COARSE, 0, tuple(COARSE.xrays), workers=1)
    return path


def reproduce(what: str, cohort: Path, out: Path, *more: object) -> int:
    return main(["reproduce", what, "--data", str(cohort), "--out", str(out), *map(str, more)])


def test_the_case_study_is_made_once(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("case-study", cohort, tmp_path, "--preset", "tiny", "--workers", 1)
    assert reproduce(*words) == 0
    first = capsys.readouterr()
    assert "0 of 7 tasks done, about " in first.err
    assert "7 of 7 tasks done" in first.err
    table = (tmp_path / "case-study.md").read_text()
    assert "WSReg, MedSAM and U-Net" in table
    assert table in first.out
    assert {p.suffix for p in tmp_path.glob("case-study.*")} == {".md", ".csv", ".tex"}
    assert reproduce(*words) == 0
    again = capsys.readouterr()
    assert "nothing to do: all 7 results are in" in again.err
    assert again.out == first.out


def test_bad_input_is_one_sentence(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = {
        ("--xrays", 0): "--xrays must be at least 1",
        ("--specimen", "nobody"): "nobody",
        ("--preset", "paper"): "pass --yes to begin",
    }
    for more, message in cases.items():
        assert reproduce("table1", cohort, tmp_path, *more) == 2
        assert message in capsys.readouterr().err
