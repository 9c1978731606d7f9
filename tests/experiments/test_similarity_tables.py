"""Table 3, read cell by cell."""

from __future__ import annotations

from collections.abc import Callable

from wsreg.experiments.entries import Entry
from wsreg.experiments.published import TABLE_3
from wsreg.experiments.similarity_tables import SimilarityPair, table_3
from wsreg.experiments.table import Block, ResultTable

EntryMaker = Callable[..., Entry]


def texts(table: ResultTable, block: Block) -> list[dict[str, str]]:
    """Return each row as column -> text."""
    keys = [column.key for column in table.columns]
    return [dict(zip(keys, [cell.text for cell in row], strict=True)) for row in block.rows]


def pair_of(make_entry: EntryMaker) -> SimilarityPair:
    return SimilarityPair(
        title="Local NCC",
        without=make_entry("ncc", [2.0, 4.0]),
        with_rois=make_entry("ncc-roi", [0.5, 1.5]),
    )


def test_table_3(make_entry: EntryMaker) -> None:
    tables = {table.name: table for table in table_3([pair_of(make_entry)])}
    table = tables["table3"]
    (row,) = texts(table, table.blocks[0])
    assert row["similarity"] == "Local NCC"
    assert row["mtre_diffpose_mm_without"] == "3.00 ± 1.00"
    assert row["mtre_diffpose_mm_with"] == "1.00 ± 0.50"
    assert (row["srr_without"], row["srr_with"]) == ("0 %", "50 %")
    quoted = texts(table, table.blocks[1])
    assert len(quoted) == len(TABLE_3) == 7
    assert quoted[3]["mtre_diffpose_mm_without"] == "13.62 ± 8.63"
    assert quoted[3]["te_mm_with"] == "14.7 ± 13.3"
    (honest,) = texts(tables["table3-distances"], tables["table3-distances"].blocks[0])
    assert (honest["mpd_mm_with"], honest["gfr_without"]) == ("1.00 ± 0.50", "0 %")
    test = texts(tables["table3-tests"], tables["table3-tests"].blocks[0])[0]
    assert (test["method"], test["reference"]) == ("Local NCC +", "Local NCC −")
    (seconds,) = texts(tables["table3-seconds"], tables["table3-seconds"].blocks[0])
    assert seconds["seconds_without"] == "2.00"


def test_the_twin_by_another_solver_has_nothing_quoted(make_entry: EntryMaker) -> None:
    tables = table_3([pair_of(make_entry)], "table3-gauss-newton", "Gauss-Newton")
    assert [table.name for table in tables] == [
        f"table3-gauss-newton{part}"
        for part in ("", "-distances", "-medians", "-tests", "-seconds")
    ]
    assert [block.source for block in tables[0].blocks] == ["measured"]
    assert tables[0].title.endswith("by Gauss-Newton")
