"""One table in three forms."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.experiments.table import (
    Block,
    Cell,
    Column,
    ResultTable,
    csv_rows,
    latex,
    markdown,
    table_from_record,
    table_to_record,
    write_table,
)
from wsreg.files.json_files import read_json, write_json

TABLE = ResultTable(
    name="two_rows",
    title="A & B",
    columns=[
        Column(key="method", title="Method"),
        Column(key="mtre", title="mTRE† (mm)"),
        Column(key="mtre_share", title="x < 1 mm"),
    ],
    blocks=[
        Block(
            source="measured",
            title="",
            rows=[
                [
                    Cell(text="a_1 | *"),
                    Cell(text="0.12 ± 0.30", values={"mean": 0.1234567, "sd": 0.3}, best=True),
                    Cell(text="98 %", values={"share": 0.98}),
                ]
            ],
        ),
        Block(
            source="quoted",
            title="From paper_1",
            rows=[[Cell(text="b"), Cell(text=""), Cell(text="−1°", values={"share": -0.01})]],
        ),
    ],
    notes=["50 % of $x_1$."],
)


def test_markdown() -> None:
    assert markdown(TABLE) == (
        "**A & B**\n\n"
        "| Method | mTRE† (mm) | x \\< 1 mm |\n"
        "|---|---:|---:|\n"
        "| a\\_1 \\| \\* | **0.12 ± 0.30** | 98 % |\n"
        "| *From paper\\_1* |  |  |\n"
        "| b |  | −1° |\n\n"
        "- 50 % of $x\\_1$.\n"
    )


def test_latex_is_escaped() -> None:
    text = latex(TABLE)
    assert r"\caption{A \& B}" in text
    assert r"\begin{tabular}{@{}lrr@{}}" in text
    assert r"Method & mTRE$^\dagger$ (mm) & x $<$ 1 mm \\" in text
    assert r"a\_1 | * & \textbf{0.12 $\pm$ 0.30} & 98 \% \\" in text
    assert r"\multicolumn{3}{@{}l@{}}{\emph{From paper\_1}} \\" in text
    assert r"b &  & $-$1$^\circ$ \\" in text
    assert r"{\footnotesize 50 \% of \$x\_1\$.}" in text
    assert text.isascii()
    lines = text.splitlines()
    rules = [line for line in lines if line.endswith("rule")]
    assert rules == [r"\toprule", r"\midrule", r"\midrule", r"\bottomrule"]


def test_latex_of_a_backslash_and_braces() -> None:
    table = ResultTable(
        name="t",
        title=r"\input{x}",
        columns=[Column(key="a", title="a")],
        blocks=[Block(source="measured", title="", rows=[])],
    )
    assert r"\caption{\textbackslash{}input\{x\}}" in latex(table)


def test_wide_tables_are_scaled_to_the_page() -> None:
    columns = [Column(key=str(n), title=str(n)) for n in range(8)]
    wide = ResultTable(name="w", title="w", columns=columns, blocks=TABLE.blocks[:0])
    assert "resizebox" in latex(wide)
    assert latex(wide).count("{") == latex(wide).count("}")
    assert "resizebox" not in latex(TABLE)


def test_csv_has_the_numbers() -> None:
    rows, columns = csv_rows(TABLE)
    assert columns == ["source", "method", "mtre_mean", "mtre_sd", "mtre_share_share"]
    assert rows[0] == {
        "source": "measured", "method": "a_1 | *", "mtre_mean": 0.1234567, "mtre_sd": 0.3,
        "mtre_share_share": 0.98,
    }  # fmt: skip
    assert rows[1] == {"source": "quoted", "method": "b", "mtre_share_share": -0.01}


def test_files(tmp_path: Path) -> None:
    files = write_table(TABLE, tmp_path / "tables")
    assert [file.name for file in files] == ["two_rows.md", "two_rows.csv", "two_rows.tex"]
    assert files[0].read_text(encoding="utf-8") == markdown(TABLE)
    with files[1].open(encoding="utf-8", newline="") as stream:
        first, second = csv.DictReader(stream)
    assert first["mtre_mean"] == "0.123457"
    assert second["mtre_mean"] == ""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        write_table(TABLE, tmp_path / "file")


def test_a_table_is_the_same_after_a_file(tmp_path: Path) -> None:
    cell = Cell(text="∞", values={"mean": math.inf, "sd": math.nan, "low": -math.inf, "n": 3.0})
    table = ResultTable(
        name="t",
        title="A table",
        columns=[Column(key="a", title="A")],
        blocks=[Block(source="measured", title="", rows=[[cell], [Cell(text="b", best=True)]])],
        notes=["A note."],
    )
    write_json(tmp_path / "t.json", table_to_record(table))
    again = table_from_record(read_json(tmp_path / "t.json"))
    assert markdown(again) == markdown(table)
    assert latex(again) == latex(table)
    found = again.blocks[0].rows[0][0].values
    assert (found["mean"], found["low"], found["n"]) == (math.inf, -math.inf, 3.0)
    assert math.isnan(found["sd"])
    assert again.blocks[0].rows[1][0].best
