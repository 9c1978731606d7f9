from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.files.journal import open_row_journal

SETUP = {"method": "ours", "sizes": (48, 96)}
SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
from wsreg.errors import InputError
from wsreg.files.journal import open_row_journal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = open_row_journal(Path(sys.argv[1]), {})
journal.append({"row": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (60, resource.RLIM_INFINITY))
try:
    journal.append({"row": "x" * 100})
except InputError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append({"row": 3})
"""


def test_rows_come_back(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "rows.jsonl"
    journal = open_row_journal(path, SETUP)
    assert journal.rows == ()
    journal.append({"x": 1.5})
    journal.append({"x": None})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"setup": {"method": "ours", "sizes": [48, 96]}}, {"x": 1.5}, {"x": None},
    ]  # fmt: skip
    assert open_row_journal(path, SETUP).rows == ({"x": 1.5}, {"x": None})


def test_a_half_row_is_cut_off_and_another_setup_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    open_row_journal(path, SETUP).append({"x": 1})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"x": 2')
    assert open_row_journal(path, SETUP).rows == ({"x": 1},)
    assert path.read_bytes() == whole
    with pytest.raises(InputError, match="differs in method; name another file"):
        open_row_journal(path, {**SETUP, "method": "theirs"})


@pytest.mark.skipif(sys.platform == "win32", reason="limits on file sizes are POSIX")
def test_a_disk_that_fills_up_leaves_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"cannot write to {path}: File too large\n"
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"setup": {}}, {"row": 1}, {"row": 3},
    ]  # fmt: skip
