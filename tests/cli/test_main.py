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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "a.npy"), "No space left on device (a.npy)"),
        (MemoryError(), "memory is not enough"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory is not enough: "),
        (ImportError("lib.so: failed to map segment from shared object"), "memory is not enough: "),
    ],
)
def test_what_the_machine_refuses_is_one_sentence(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: object) -> int:
        raise error

    monkeypatch.setattr(Example, "run", refuse)
    assert main(["example", "chest"]) == 2
    assert said in capsys.readouterr().err


def test_an_empty_word_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["register", "x.png", "--ct", "ct.nii", "--out", ""]) == 2
    assert 'got an empty word, "", after --out' in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="ulimit is POSIX")
def test_too_little_memory_is_said_before_anything_is_loaded() -> None:
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1_000_000_000, resource.RLIM_INFINITY))\n"
        "from wsreg.cli.main import main\n"
        "sys.exit(main(['demo', '--out', sys.argv[1]]))\n"
    )
    words = [sys.executable, "-c", code, "absent"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("wsreg: error: memory of this process must not be limited")
