from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.files.journal import CHECK_SUM, open_row_journal

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


def lines_of(path: Path) -> list[object]:
    """Return what the lines say, without their check sums."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in r.items() if key != CHECK_SUM} for r in records]


def test_rows_come_back(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "rows.jsonl"
    journal = open_row_journal(path, SETUP)
    assert journal.rows == ()
    journal.append({"x": 1.5})
    journal.append({"x": None})
    assert lines_of(path) == [
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
    assert lines_of(path) == [
        {"setup": {}}, {"row": 1}, {"row": 3},
    ]  # fmt: skip


@pytest.mark.parametrize("harm", [b"\0", b'"', b"7"])
def test_rows_from_a_damaged_one_on_are_made_again(
    tmp_path: Path, harm: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rows.jsonl"
    journal = open_row_journal(path, SETUP)
    for number in range(3):
        journal.append({"x": number + 0.5})
    content = path.read_bytes()
    harmed = content.replace(b"1.5", harm + b".5")  # 7.5 is a row like any other
    path.write_bytes(harmed)
    assert open_row_journal(path, SETUP).rows == ({"x": 0.5},)
    assert "damaged in line 3" in caplog.text
    assert (tmp_path / "rows.jsonl.damaged").read_bytes() == harmed
    for number in (1, 2):
        open_row_journal(path, SETUP).append({"x": number + 0.5})
    assert path.read_bytes() == content


def test_rows_of_before_there_were_check_sums_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"setup": {"method": "ours", "sizes": [48, 96]}}\n{"x": 1}\n')
    assert open_row_journal(path, SETUP).rows == ({"x": 1},)


def test_a_row_whose_check_sum_has_lost_its_name_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    open_row_journal(path, SETUP).append({"x": 1})
    setup, row = path.read_text().splitlines(keepends=True)
    path.write_text(setup + row.replace(CHECK_SUM, "crc72"))
    assert open_row_journal(path, SETUP).rows == ()
