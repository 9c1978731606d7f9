from __future__ import annotations

import re

import pytest

from wsreg.cli.console import progress_bar, step


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


def test_quiet_steps_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with step("Reading", quiet=True):
        pass
    assert capsys.readouterr().err == ""
