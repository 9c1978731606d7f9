from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable

import pytest

import wsreg
from wsreg.cli.example import Example
from wsreg.cli.main import main
from wsreg.errors import InputError

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


def test_interruption_is_130_and_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(self: Example) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Example, "run", interrupted)
    assert main(["example", "chest"]) == 130
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "wsreg: interrupted\n")


def raising(error: Exception) -> Callable[[Example], int]:
    """Return a command's run that fails."""

    def run(self: Example) -> int:
        raise error

    return run


def test_mistakes_in_the_program_have_a_status_of_their_own_and_are_told_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Example, "run", raising(ZeroDivisionError("by nought")))
    assert main(["example", "chest"]) == 3
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == (
        f"wsreg {wsreg.__version__}: this is a mistake in wsreg, not in what it was given; please "
        "report the command and all that follows to its authors"
    )
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ZeroDivisionError: by nought"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("xray must be there"), "xray must be there"),
        (OSError(errno.ENOSPC, "No space left on device", "a.png"),
         "No space left on device: a.png"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "/out"), "Permission denied: /out"),
        (MemoryError(), "there is not enough memory for this"),
        (MemoryError("Unable to allocate 9. GiB"),
         "there is not enough memory for this (Unable to allocate 9. GiB)"),
        (RuntimeError("torch: can't allocate memory"),
         "there is not enough memory for this (torch: can't allocate memory)"),
        (ImportError("lib.so: failed to map segment from file"),
         "there is not enough memory for this (lib.so: failed to map segment from file)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_input_or_machine_is_one_sentence(
    error: Exception,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Example, "run", raising(error))
    assert main(["example", "chest"]) == 2
    assert capsys.readouterr().err == f"wsreg: error: {sentence}\n"


def test_head_is_no_error() -> None:
    run = subprocess.run(
        f"{sys.executable} -m wsreg.cli.main register --help 2>&1 | head -n 1; "
        "echo ${PIPESTATUS[0]}",
        shell=True, executable="bash", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.splitlines()[0].startswith("usage: wsreg register")
    assert run.stdout.splitlines()[1:] == ["0"]
    assert run.stderr == ""


@pytest.mark.parametrize("words", [["--out", ""], ["--out="]])
def test_an_empty_word_is_answered(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["register", "x.png", "--ct", "ct.nii", *words]) == 2
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
