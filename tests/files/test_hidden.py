from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wsreg.files.hidden import SECONDS_UNTOUCHED, hidden_name, left_behind

NAME = "from wsreg.files.hidden import hidden_name; print(hidden_name('a.npy'))"


def name_of_a_dead_process() -> str:
    return subprocess.run(
        [sys.executable, "-c", NAME], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_names_are_hidden_short_and_all_different() -> None:
    long = hidden_name("x" * 300 + ".nii.gz")
    assert long.startswith(".wsreg-")
    assert long.endswith("x.nii.gz")
    assert len(os.fsencode(hidden_name("\N{GRINNING FACE}" * 100))) < 255
    assert hidden_name("a") != hidden_name("a")


def test_what_a_living_process_writes_is_not_left_behind(tmp_path: Path) -> None:
    assert not left_behind(tmp_path / hidden_name("a"))
    parent = hidden_name("a").replace(f"-{os.getpid()}-", f"-{os.getppid()}-")
    assert not left_behind(tmp_path / parent)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not asked there")
def test_what_a_dead_process_wrote_is_left_behind(tmp_path: Path) -> None:
    name = name_of_a_dead_process()
    assert left_behind(tmp_path / name)
    number = name.split("-")[2]
    assert left_behind(tmp_path / name.replace(f"-{number}-", f"-{os.getpid()}-"))  # come again


@pytest.mark.parametrize("name", [".wsreg-lock", "a.npy", ".wsreg-mine", ".wsreg-1-2-3-4-a"])
def test_other_files_are_not_ours(tmp_path: Path, name: str) -> None:
    assert not left_behind(tmp_path / name)


@pytest.mark.parametrize(
    "name", [".wsreg-0123456789ab-a.npy", ".wsreg-ffffff-1-0a0b0c0d-0a0b0c0d-a"]
)
def test_what_nobody_knows_of_is_left_behind_when_untouched_for_a_day(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_text("")
    assert not left_behind(path)
    before = time.time() - SECONDS_UNTOUCHED - 60.0
    os.utime(path, (before, before))
    assert left_behind(path)
    assert not left_behind(tmp_path / "gone" / name)
