from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.files.whole import staged_file, staged_folder, write_text


def fail_after_writing(path: Path) -> None:
    path.write_text("1")
    raise ValueError("half done")


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


def test_readers_of_a_new_file_are_those_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with staged_file(tmp_path / "a") as temporary:
        temporary.unlink()
        temporary.touch(mode=0o600)  # as safetensors makes its files
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_process_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    code = (
        "import os, signal, sys\n"
        "from wsreg.files.whole import staged_file\n"
        "with staged_file(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('new')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_two_who_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with staged_file(path) as first, staged_file(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # whose block ended last
    assert os.listdir(tmp_path) == ["a.txt"]
