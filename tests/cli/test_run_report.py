"""wsreg register --report and wsreg report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from wsreg.cli.main import main


def test_a_run_writes_its_report_which_the_next_one_without_removes(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, bad = tmp_path / "out", tmp_path / "bad.png"
    bad.write_text("no image")
    assert case.register("--report", out=out, xrays=(case.xray, bad)) == 1
    html = (out / "report.html").read_text()
    assert "2: 1 pass, 1 failed" in html
    assert "bad.png" in html
    assert f"report: {out / 'report.html'}" in capsys.readouterr().out
    assert case.register("--force", "--quiet", out=out, xrays=(case.xray, bad)) == 1
    assert not (out / "report.html").exists()


def test_a_report_is_made_later(
    registered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "results"
    shutil.copytree(registered, folder)
    assert main(["report", str(folder)]) == 0
    assert "data:image/png" in (folder / "report.html").read_text()
    assert capsys.readouterr().out == f"report: {folder / 'report.html'}\n"
    assert main(["report", str(folder), "--quiet"]) == 0  # its own file is replaced
    assert main(["report", str(folder), "--out", str(tmp_path / "other.html"), "--quiet"]) == 0
    assert (tmp_path / "other.html").is_file()


def test_another_file_is_replaced_only_with_force(
    registered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    words = ["report", str(registered), "--out", str(mine), "--quiet"]
    assert main(words) == 2
    assert "no report of wsreg" in capsys.readouterr().err
    assert mine.read_text() == "mine"
    assert main([*words, "--force"]) == 0
    assert "data:image/png" in mine.read_text()


def test_a_folder_without_results_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("wsreg: error: report needs a folder with results")
    assert said.count("\n") == 1
