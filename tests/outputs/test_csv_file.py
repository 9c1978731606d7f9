from __future__ import annotations

from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.outputs.csv_file import Row, write_csv


def test_cells_by_column_and_absent_ones_empty(tmp_path: Path) -> None:
    rows: list[Row] = [{"name": "hip, left", "pixels": 12345678}, {"name": "b", "mm": 2.0 / 3.0}]
    write_csv(rows, ("name", "pixels", "mm"), tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_bytes().decode()
    assert text == 'name,pixels,mm\r\n"hip, left",12345678,\r\nb,,0.666667\r\n'


def test_a_table_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        write_csv([{"other": 1.0}], ("name",), path)
    assert path.read_text() == "old"
    with pytest.raises(InputError, match="cannot write"):
        write_csv([], ("name",), path / "below a file.csv")
