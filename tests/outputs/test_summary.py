from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from wsreg.outputs.summary import COLUMNS, failed_row, result_row, write_summary
from wsreg.registration.result import RegistrationResult


def test_one_row_for_each_xray(
    make_result: Callable[..., RegistrationResult], tmp_path: Path
) -> None:
    rows = [result_row("a", make_result()), failed_row("b", 'X-ray "b" is constant, got 0')]
    write_summary(rows, tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        good, bad = reader
        assert tuple(reader.fieldnames or ()) == COLUMNS
    assert (good["name"], good["verdict"], good["error"]) == ("a", "pass", "")
    assert good["reasons"] == "The starts agree. It rose by 0.5."
    assert (good["similarity_start"], good["similarity_end"]) == ("0.4", "0.9")
    assert good["seconds"] == "0.5"
    assert bad["error"] == 'X-ray "b" is constant, got 0'
    assert all(bad[column] == "" for column in COLUMNS if column not in ("name", "error"))


def test_pose_is_a_rotation_vector_and_the_pivot_in_the_camera_frame(
    make_result: Callable[..., RegistrationResult],
) -> None:
    row = result_row("a", make_result())  # 90 deg about x; pivot (0,10,0); moved by (1,2,700)
    assert [row[f"{axis}_deg"] for axis in ("rx", "ry", "rz")] == pytest.approx([90, 0, 0])
    assert [row[f"{axis}_mm"] for axis in ("tx", "ty", "tz")] == pytest.approx([1, 2, 710])
    assert [row[f"sd_{axis}_deg"] for axis in ("rx", "ry", "rz")] == pytest.approx([1, 2, 3])
    assert row["sd_tz_mm"] == 2.5
