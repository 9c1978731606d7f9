from __future__ import annotations

from pathlib import Path

import pytest

from wsreg.files.names import different, file_name, folder_name, given_name, stem


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hip.png", "hip"),
        ("a.b.dcm", "a.b"),
        ("hip.nii.gz", "hip"),
        ("HIP.NII.GZ", "HIP"),
        ("x", "x"),
    ],
)
def test_endings_go(name: str, expected: str) -> None:
    assert stem(Path("some.folder") / name) == expected


def test_names_that_come_again_get_a_number() -> None:
    names = ["knee", "knee", "knee-2", "hip", "knee"]
    assert different(names) == ["knee", "knee-2", "knee-2-2", "hip", "knee-3"]
    assert different(["Knee", "knee", "KNEE-2"]) == ["Knee", "knee-2", "KNEE-2-2"]


def test_what_no_file_should_be_called_becomes_a_line() -> None:
    assert file_name("../AP view: 1") == ".._AP_view_1"
    assert file_name("Hüfte-2.b_c") == "Hüfte-2.b_c"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("knee 2", "knee 2"),
        ("Hüfte", "Hüfte"),
        ("", "_"),
        (".", "_"),
        ("..", "__"),
        ("...", "___"),
        (".hidden", "_hidden"),
        (" a. ", "_a__"),
        ("../../a", "___.._a"),
        ("a/b\\c", "a_b_c"),
        ("a\nb\x01", "a_b_"),
        ("\udcff", "_"),
        ("x" * 300, "x" * 180),
        ("é" * 100 + "x", "é" * 90),
    ],
)
def test_names_of_folders_stay_where_they_are_made(name: str, folder: str) -> None:
    assert folder_name(name) == folder


def test_a_file_is_named_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doe").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "doe")
    assert given_name(tmp_path / "link") == "link"
    monkeypatch.chdir(tmp_path / "doe")
    assert given_name(Path(".")) == "doe"
    assert given_name(Path("../link/")) == "link"
    assert len(file_name("y" * 300)) == 180
