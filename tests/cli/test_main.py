from __future__ import annotations

import subprocess
import sys

import pytest

import wsreg
from wsreg.cli.example import Example
from wsreg.cli.main import main

HELP_WITHOUT_HEAVY_IMPORTS = """
import contextlib, sys
from wsreg.cli.main import main
for command in ([], ["register"], ["render"], ["inspect"], ["example"], ["demo"]):
    with contextlib.suppress(SystemExit):
        main([*command, "--help"])
heavy = {"torch", "numpy", "numba", "scipy", "SimpleITK", "nibabel", "pydicom", "PIL"}
sys.exit(", ".join(heavy & set(sys.modules)) or 0)
"""


def test_help_imports_nothing_heavy() -> None:
    run = subprocess.run(
        [sys.executable, "-c", HELP_WITHOUT_HEAVY_IMPORTS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    for text in ("register", "--render-labels", "--pixel-spacing", "(default: gauss-newton)"):
        assert text in run.stdout


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"wsreg {wsreg.__version__}\n"


@pytest.mark.parametrize(
    "words", [[], ["fly"], ["register"], ["register", "a.png", "--device", "abacus"]]
)
def test_usage_errors_exit_with_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2


def test_interruption_is_130_and_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(self: Example) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Example, "run", interrupted)
    assert main(["example", "chest"]) == 130
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_mistakes_in_the_program_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Example) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(Example, "run", broken)
    with pytest.raises(ZeroDivisionError):
        main(["example", "chest"])
