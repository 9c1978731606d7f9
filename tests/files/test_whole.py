from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.files.whole import staged_file, staged_folder, tidy, write_text


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


def test_outdated_files_go_and_new_ones_come_also_below(tmp_path: Path) -> None:
    (tmp_path / "scene").mkdir()
    for name in ("pose-old.json", "scene/old.vtk", "scene/both.vtk", "mine.txt"):
        (tmp_path / name).write_text("old")
    outdated = ("pose-old.json", "scene/old.vtk", "scene/both.vtk", "gone")
    with staged_folder(tmp_path, outdated) as staging:
        (staging / "scene").mkdir()
        (staging / "scene" / "both.vtk").write_text("new")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["both.vtk", "mine.txt", "scene"]
    assert (tmp_path / "scene" / "both.vtk").read_text() == "new"
    with staged_folder(tmp_path, ("scene/both.vtk",)):
        pass
    assert os.listdir(tmp_path) == ["mine.txt"]


def write_letters(folder: Path) -> None:
    with staged_folder(folder) as staging:
        (staging / "a").write_text("new")
        (staging / "b").write_text("new")


def test_a_folder_in_the_way_of_a_file_leaves_all_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a").write_text("old")
    with pytest.raises(InputError, match="b is a folder"):
        write_letters(tmp_path)
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


KILLED = """
import os, signal, sys
from pathlib import Path
from wsreg.files.whole import staged_folder
folder, at = Path(sys.argv[1]), int(sys.argv[2])
moves = 0
def counted(move):
    def moved(*words, **more):
        global moves
        moves += 1
        if moves == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return move(*words, **more)
    return moved
Path.unlink, Path.replace, Path.rename = map(counted, (Path.unlink, Path.replace, Path.rename))
with staged_folder(folder, ("old only",)) as staging:
    for name in "abc":
        (staging / name).write_text("new")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@pytest.mark.parametrize("at", range(1, 9))
def test_a_kill_at_any_step_never_leaves_a_mixture(tmp_path: Path, at: int) -> None:
    old, new = dict.fromkeys([*"abc", "old only"], "old"), dict.fromkeys("abc", "new")
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(at)], check=False)
    assert done.returncode == -signal.SIGKILL

    def seen() -> dict[str, str]:
        return {p.name: p.read_text() for p in tmp_path.iterdir() if p.is_file()}

    assert len(set(seen().values())) <= 1
    tidy(tmp_path)
    assert seen() == (old if at == 1 else new)
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]


def test_what_a_killed_run_left_is_swept_by_the_next_writer(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from wsreg.files.whole import staged_file, staged_folder\n"
        "with staged_file(Path(sys.argv[1]) / 'a.npy') as a, staged_folder(sys.argv[1]) as b:\n"
        "    (b / 'c').write_text('')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(os.listdir(tmp_path)) == 2
    with staged_file(tmp_path / "mine") as living:
        living.write_text("1")
        write_text(tmp_path / "b.txt", "x")
        assert sorted(os.listdir(tmp_path)) == sorted(["b.txt", living.name])


def test_names_that_are_no_text_are_written_as_escapes(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "\udcff")
    assert (tmp_path / "a").read_bytes() == b"\\udcff"


def test_a_name_of_the_greatest_length_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".txt")
    write_text(path, "a")
    assert path.read_text() == "a"
