"""Compiled functions run wherever they are, and say when they are compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wsreg.compiled import SENTENCE, own_temporary_folder

MODULE = """
from wsreg.compiled import compiled

@compiled()
def twice(x):
    return 2 * x

"""
SCRIPT = """
import sys

def fill_disk(when):
    if when in sys.argv:  # no file can be written to any more
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

fill_disk("full")
from wsreg.example import twice
fill_disk("filled")
print(twice(21), sum(twice.stats.cache_hits.values()))
"""


@pytest.fixture(name="unwritable")
def _unwritable(tmp_path: Path) -> dict[str, str]:
    """A module whose folder cannot be written to, nor the user's folder of caches.

    Files lie where the folders would: that stops root as well.
    """
    package = tmp_path / "site" / "example"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(MODULE, encoding="utf-8")
    (package / "__pycache__").write_text("", encoding="utf-8")
    (tmp_path / "temporary").mkdir()
    return {
        **os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": os.devnull,
        "XDG_CACHE_HOME": f"{os.devnull}/cache", "TMPDIR": str(tmp_path / "temporary"),
        "EXAMPLES": str(tmp_path / "site"),
    }  # fmt: skip


def run(environment: dict[str, str], *words: str) -> tuple[str, str]:
    """Run the module's function as one of wsreg's; return what was said."""
    here = "import os, wsreg; wsreg.__path__.append(os.environ['EXAMPLES'])\n"
    done = subprocess.run(
        [sys.executable, "-c", here + SCRIPT, *words],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="folders are told apart by Unix's ways")
def test_where_nothing_else_can_be_written_the_cache_is_a_temporary_folder(
    unwritable: dict[str, str],
) -> None:
    assert run(unwritable) == ("42 0", SENTENCE)
    assert run(unwritable) == ("42 1", "")


@pytest.mark.skipif(sys.platform == "win32", reason="folders are told apart by Unix's ways")
def test_where_not_even_that_can_be_every_process_compiles(unwritable: dict[str, str]) -> None:
    mine = Path(unwritable["TMPDIR"]) / f"wsreg-kernels-{os.getuid()}"
    mine.mkdir()
    mine.chmod(0o777)  # others could put into it what this user would run
    assert run(unwritable) == ("42 0", SENTENCE)
    assert list(mine.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
@pytest.mark.parametrize("when", ["full", "filled"])
def test_a_full_disk_costs_no_answer(unwritable: dict[str, str], when: str) -> None:
    assert run(unwritable, when) == ("42 0", SENTENCE)


@pytest.mark.skipif(sys.platform == "win32", reason="folders are told apart by Unix's ways")
def test_a_link_is_nobodys_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"wsreg-kernels-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    own_temporary_folder.cache_clear()
    assert own_temporary_folder() is None
    own_temporary_folder.cache_clear()
