from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import threading

import pytest

from wsreg.cli.console import begun, no_garbage_collected, progress_bar, step


def test_a_step_is_named_and_timed(capsys: pytest.CaptureFixture[str]) -> None:
    with step("Reading", quiet=False):
        assert capsys.readouterr().err == "Reading ... "
    assert re.fullmatch(r"\d+\.\d s\n", capsys.readouterr().err)


def test_a_step_that_fails_leaves_a_whole_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), step("Reading", quiet=False):
        raise ZeroDivisionError
    assert capsys.readouterr().err == "Reading ... stopped\n"


def test_the_bar_moves_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(quiet: bool) -> str:
        with progress_bar("Registering", quiet=quiet) as move:
            assert capsys.readouterr().err == ""
            move("register", 0, 2)
            move("register", 1, 2)
        return capsys.readouterr().err

    assert shown(quiet=False) == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert "1/2" in shown(quiet=False)
    assert shown(quiet=True) == ""


def test_what_an_earlier_run_has_done_does_not_shorten_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    clock = 0.0
    monkeypatch.setattr("tqdm.std.time", lambda: clock)
    with progress_bar("Training", quiet=False) as move:
        move("training", 900, 1000)
        clock = 10.0
        move("training", 910, 1000)  # ten steps in ten seconds, ninety to go
    last = capsys.readouterr().err.split("\r")
    assert any("910/1000 00:10, 01:30 left" in line for line in last)


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr("wsreg.cli.console.time.monotonic", lambda: clock)
    with progress_bar("Training", quiet=False) as move:
        for seconds, done in ((0, 900), (20, 920), (31, 931), (45, 945), (62, 962), (100, 1000)):
            clock = 1000.0 + seconds
            move("training", done, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "wsreg: Training: 931 of 1000 (training), 31 s, about 69 s left",
        "wsreg: Training: 962 of 1000 (training), 62 s, about 38 s left",
        "wsreg: Training: 1000 of 1000 (training), 2 min",
    ]
    with progress_bar("Training", quiet=True) as move:
        clock += 100.0
        move("training", 1, 2)
    assert capsys.readouterr().err == ""


def test_work_goes_on_when_who_reads_has_left() -> None:
    code = """
import sys
from wsreg.cli.console import readers_may_leave
with readers_may_leave():
    for number in range(100_000):
        print(number)
    print("done", file=sys.stderr)
sys.exit(7)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline() == "0\n"
        run.stdout.close()
        assert run.stderr.read() == "done\n"
        assert run.wait(60.0) == 7


def test_a_reader_that_leaves_before_the_end_of_a_short_text_is_no_error() -> None:
    code = """
import sys
from wsreg.cli.console import readers_may_leave
with readers_may_leave():
    print("short", flush=False)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        assert run.stdin is not None
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        run.stdin.close()
        assert run.stderr.read() == ""
        assert run.wait(60.0) == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's disk that is always full")
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["convert", "camera", "--help"]])
def test_standard_output_on_a_full_disk_is_one_sentence(words: list[str]) -> None:
    command = [sys.executable, "-m", "wsreg.cli.main", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    sentence = "cannot write to standard output: No space left on device"
    assert (done.returncode, done.stderr) == (2, f"wsreg: error: {sentence}\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's disk that is always full")
def test_messages_that_cannot_be_written_stop_no_work() -> None:
    code = """
import sys
from wsreg.cli.console import readers_may_leave, step
with readers_may_leave():
    with step("Reading", quiet=False):
        print("done", flush=True)
"""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_quiet_steps_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with step("Reading", quiet=True):
        pass
    assert capsys.readouterr().err == ""


def test_work_that_is_begun_runs_meanwhile_and_gives_its_result_or_its_error() -> None:
    go_on = threading.Event()
    with begun(lambda: go_on.wait(60.0)) as waited:
        assert not waited.done()
        go_on.set()
        assert waited.result() is True
    with pytest.raises(ZeroDivisionError), begun(lambda: 1 // 0) as failing:
        failing.result()


def test_a_block_that_fails_does_not_wait_for_the_work_it_began() -> None:
    go_on = threading.Event()
    with pytest.raises(KeyError), begun(lambda: go_on.wait(60.0)) as waiting:
        raise KeyError
    assert not waiting.done()
    go_on.set()


def test_garbage_is_collected_again_afterwards_also_after_an_error() -> None:
    with no_garbage_collected():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), no_garbage_collected():
        raise KeyError
    assert gc.isenabled()
