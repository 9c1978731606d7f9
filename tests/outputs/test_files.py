from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.outputs.files import (
    RESULT_FILES,
    prepare_output_folder,
    sha256_of,
    staged_file,
    staged_folder,
    write_json,
    write_text,
)

SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def fail_after_writing(path: Path) -> None:
    path.write_text("1")
    raise ValueError("half done")


def test_sha256_of_a_file_is_the_published_value(tmp_path: Path) -> None:
    (tmp_path / "abc").write_text("abc")
    assert sha256_of(tmp_path / "abc") == SHA256_OF_ABC


def test_sha256_of_a_folder_depends_on_contents_not_names(tmp_path: Path) -> None:
    for folder, names in (("one", "ab"), ("two", "zy")):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / names[0]).write_text("abc")
        (tmp_path / folder / "deep" / names[1]).write_text("slice 2")
    assert sha256_of(tmp_path / "one") == sha256_of(tmp_path / "two")
    digests = sorted((SHA256_OF_ABC, hashlib.sha256(b"slice 2").hexdigest()))
    assert sha256_of(tmp_path / "one") == hashlib.sha256("\n".join(digests).encode()).hexdigest()
    (tmp_path / "two" / "z").write_text("abd")
    assert sha256_of(tmp_path / "one") != sha256_of(tmp_path / "two")


def test_sha256_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*absent"):
        sha256_of(tmp_path / "absent")
    with pytest.raises(InputError, match="empty folder"):
        sha256_of(tmp_path)


def test_written_text_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    write_text(tmp_path / "a.txt", "µ new\n")
    assert (tmp_path / "a.txt").read_bytes() == "µ new\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_failure_keeps_the_old_file_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ValueError, match="half"), staged_file(tmp_path / "a.txt") as temporary:
        fail_after_writing(temporary)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_json_is_strict(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": [1, 2.5, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [1, 2.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()


def test_new_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "one"
    with pytest.raises(ValueError, match="half"), staged_folder(out) as staging:
        fail_after_writing(staging / "a")
    assert not out.exists()
    with staged_folder(out) as staging:
        (staging / "a").write_text("1")
        assert not out.exists()
    assert (out / "a").read_text() == "1"
    assert os.listdir(tmp_path / "runs") == ["one"]


def test_existing_folder_keeps_other_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "result.json").write_text("old")
    with staged_folder(tmp_path) as staging:
        (staging / "result.json").write_text("new")
    assert sorted(os.listdir(tmp_path)) == ["mine.txt", "result.json"]
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert (tmp_path / "result.json").read_text() == "new"


def test_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_prepare_makes_nothing(tmp_path: Path) -> None:
    assert prepare_output_folder(tmp_path / "a" / "b", force=False) == tmp_path / "a" / "b"
    assert os.listdir(tmp_path) == []


def test_prepare_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="must be a folder"):
        prepare_output_folder(tmp_path / "out", force=True)
    with pytest.raises(InputError, match="writable"):
        prepare_output_folder(tmp_path / "out" / "below", force=True)


@pytest.mark.parametrize("name", RESULT_FILES)
def test_prepare_refuses_results_without_force(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("")
    prepare_output_folder(tmp_path, force=False)
    (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=f"holds results.*{name}.*--force"):
        prepare_output_folder(tmp_path, force=False)
    prepare_output_folder(tmp_path, force=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_prepare_refuses_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="writable"):
        prepare_output_folder(tmp_path, force=False)
