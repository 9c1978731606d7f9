from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.files.lock import LOCK_FILE, held_file, held_folder, locked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX")

HOLD = """
import sys, time
from pathlib import Path
from wsreg.files.lock import held_folder
with held_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with holder(folder) as process:
        with pytest.raises(InputError, match=rf"out is being.*\(process {process.pid} on"):
            held_folder(folder).__enter__()
        process.kill()
    assert process.returncode == -signal.SIGKILL
    with held_folder(folder):
        assert os.listdir(folder) == [LOCK_FILE]


def test_a_folder_that_stays_empty_goes_again_and_any_other_stays(tmp_path: Path) -> None:
    with held_folder(tmp_path / "a" / "b"):
        pass
    assert os.listdir(tmp_path) == []
    with held_folder(tmp_path / "a"):
        (tmp_path / "a" / "result").write_text("")
    assert os.listdir(tmp_path / "a") == ["result"]
    (tmp_path / "mine").mkdir()
    with held_folder(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()


def test_a_file_is_held_beside_others_and_leaves_no_empty_folder(tmp_path: Path) -> None:
    first, second = tmp_path / "new" / "a.json", tmp_path / "new" / "b.json"
    again = pytest.raises(InputError, match=r"a\.json is being written by another run")
    with held_file(first), held_file(second), again:
        held_file(first).__enter__()
    assert os.listdir(tmp_path) == []
    with held_file(first):
        first.write_text("")
    assert os.listdir(tmp_path / "new") == ["a.json"]
    for folder in (tmp_path, Path()):
        with pytest.raises(InputError, match="must be a file, got the folder"):
            held_file(folder).__enter__()


@pytest.mark.parametrize("kind", ["file", "below a file", "link to nothing", "long"])
def test_what_can_be_no_folder_is_one_sentence(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    folder = {
        "file": tmp_path / "file", "below a file": tmp_path / "file" / "out",
        "link to nothing": tmp_path / "link", "long": tmp_path / ("x" * 300),
    }[kind]  # fmt: skip
    with pytest.raises(InputError, match="output folder"), held_folder(folder):
        pass
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_who_waits_never_holds_a_lock_with_another(tmp_path: Path) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with locked(tmp_path / "lock", wait=True):
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert os.listdir(tmp_path) == []


def test_the_processes_of_one_training_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_folder(tmp_path):
        monkeypatch.setenv("LOCAL_RANK", "1")
        with held_folder(tmp_path):
            pass
        monkeypatch.setenv("LOCAL_RANK", "0")
        with pytest.raises(InputError, match="another run"):
            held_folder(tmp_path).__enter__()
