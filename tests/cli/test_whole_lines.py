from __future__ import annotations

import logging
import sys
import threading

import pytest

from wsreg.cli.console import progress_bar, step
from wsreg.cli.whole_lines import unfinished, whole_lines


class Line:
    """A line that says when it goes and comes."""

    def __init__(self) -> None:
        self._stream = sys.stderr

    def clear(self) -> None:
        print("<", end="", file=self._stream)

    def refresh(self) -> None:
        print(">", end="", file=self._stream)


def test_what_others_write_comes_in_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    line = Line()
    with whole_lines():
        with unfinished(line):
            print("one", "word", file=sys.stderr)
            print("half", end="", file=sys.stderr)
            assert capsys.readouterr().err == "<one word\n>"
            print(" and half", file=sys.stderr)
            print("the rest", end="", file=sys.stderr)
            assert capsys.readouterr().err == "<half and half\n>"
        assert capsys.readouterr().err == "the rest"
        print("as ever", end="", file=sys.stderr)
        assert capsys.readouterr().err == "as ever"


@pytest.mark.parametrize("terminal", [True, False])
def test_standard_output_meets_the_line_on_one_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    line = Line()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    with whole_lines(), unfinished(line):
        print("an answer")
        assert capsys.readouterr() == ("an answer\n", "<>" if terminal else "")


def test_a_step_is_said_again_after_what_was_logged(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        print("wsreg: warning: a slice is missing", file=sys.stderr)

    with whole_lines(), step("Reading", quiet=False):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        work()
    lines = capsys.readouterr().err.splitlines()
    assert lines[:-1] == ["Reading ... ", *2 * ["wsreg: warning: a slice is missing"]]
    assert lines[-1].startswith("Reading ... 0.")


def test_a_bar_goes_and_comes_back_around_what_is_logged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with whole_lines(), progress_bar("Registering", quiet=False) as move:
        move("register", 0, 2)
        move("register", 1, 2)
        capsys.readouterr()
        handler = logging.StreamHandler(sys.stderr)
        handler.emit(logging.makeLogRecord({"msg": "wsreg: warning: a slice is missing"}))
        before, after = capsys.readouterr().err.split("wsreg: warning: a slice is missing\n")
        assert before.strip() == ""
        assert before.endswith("\r")
        assert "1/2" in after
