"""``wsreg reproduce`` from a file to tables."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

import pytest
import torch

from wsreg.cli.main import main
from wsreg.cli.reproduce import Reproduce
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
    assert "0 of 9 tasks done, about " in first.err
    assert "9 of 9 tasks done" in first.err
    table = (tmp_path / "case-study.md").read_text()
    assert "WSReg, MedSAM and U-Net" in table
    assert table in first.out
    assert (tmp_path / "case-study-seconds.md").read_text() in first.out
    assert {p.suffix for p in tmp_path.glob("case-study.*")} == {".md", ".csv", ".tex"}
    report = tmp_path / "report-case-study.html"
    assert "Case study: schemes of segmentation" in report.read_text()
    settings = html.unescape(report.read_text()).replace(" ", "").replace("\n", "")
    assert '"asked":{"specimens":["17-1882","18-2799"],"xrays":null}' in settings
    written = report.stat().st_mtime_ns
    assert reproduce(*words) == 0
    again = capsys.readouterr()
    assert "nothing to do: all 9 results are in" in again.err
    assert again.out == first.out
    assert report.stat().st_mtime_ns == written
    (tmp_path / "case-study.md").write_text("of something else")
    assert reproduce(*words) == 0
    assert (tmp_path / "case-study.md").read_text() == table


def test_without_the_case_studys_specimen(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reproduce("case-study", cohort, tmp_path, "--specimen", "17-1882") == 2
    assert "the case study is of 18-2799, got 17-1882" in capsys.readouterr().err


def test_bad_input_is_one_sentence(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = {
        ("--xrays", 0): "--xrays must be at least 1",
        ("--specimen", "nobody"): "nobody",
        ("--out", cohort): "must be a folder, got the file",
        ("--workers", 0): "--workers must be at least 1",
    }
    for more, message in cases.items():
        assert reproduce("table1", cohort, tmp_path, *more) == 2
        assert message in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="it is not asked where there is a GPU")
def test_the_papers_preset_is_asked_about(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reproduce("table1", cohort, tmp_path, "--preset", "paper", "--workers", 2) == 2
    said = capsys.readouterr().err
    hours = re.search(r"without a GPU takes about (\d+) h .*with 2 processes", said)
    assert hours is not None
    # Two specimens' three encoders, each at least 72 hours: it is not small's estimate.
    assert int(hours[1]) > 200
    assert "GB in" in said
    assert "pass --yes to begin" in said
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="it is not asked where there is a GPU")
@pytest.mark.parametrize("typed", ["n\n", ""])
def test_no_and_the_end_of_input_begin_nothing(
    typed: str,
    cohort: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert reproduce("table1", cohort, tmp_path, "--preset", "paper") == 2
    assert "nothing was begun" in capsys.readouterr().err


def test_it_is_not_asked_where_nothing_is_missing(cohort: Path, tmp_path: Path) -> None:
    Reproduce(what="table1", data=cohort, out=tmp_path, preset="paper")._ask([])
