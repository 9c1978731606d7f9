"""Table 1 and the case study, read cell by cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from wsreg.errors import InputError
from wsreg.experiments.entries import Entry
from wsreg.experiments.published import TABLE_1
from wsreg.experiments.table import Block, ResultTable, latex, markdown
from wsreg.experiments.tables import Scheme, case_study, table_1

EntryMaker = Callable[..., Entry]


def texts(table: ResultTable, block: Block) -> list[dict[str, str]]:
    """Return each row as column -> text."""
    keys = [column.key for column in table.columns]
    return [dict(zip(keys, [cell.text for cell in row], strict=True)) for row in block.rows]


def by_name(tables: Sequence[ResultTable]) -> dict[str, ResultTable]:
    return {table.name: table for table in tables}


@pytest.fixture
def entries(make_entry: EntryMaker) -> list[Entry]:
    return [
        make_entry("diffpose", [2.0, 3.0, 20.0, 0.5], "baseline"),
        make_entry("paper", [0.5, 0.6, 1.5, 0.4], "paper"),
        make_entry("ours", [0.1, 0.2, 0.3, math.nan]),
    ]


def test_table_1_counts_the_unanswered_as_failures(entries: list[Entry]) -> None:
    table = table_1(entries)[0]
    first, _, ours = texts(table, table.blocks[0])
    assert first["method"] == "Diffpose"
    assert first["mtre_diffpose_mm"] == "6.38 ± 7.92"
    assert (first["srr"], first["gfr"], first["unanswered"]) == ("25 %", "25 %", "0")
    assert ours["mtre_3d_mm"] == "0.20 ± 0.08 (of 3)"
    assert (ours["n"], ours["unanswered"]) == ("4", "1")
    assert (ours["srr"], ours["mpd_under_1"], ours["gfr"]) == ("75 %", "75 %", "25 %")
    seconds = by_name(table_1(entries))["table1-seconds"]
    assert texts(seconds, seconds.blocks[0])[2]["seconds"] == "2.00"
    others = [t for t in table_1(entries) if t is not seconds and t.name != "table1-seconds"]
    assert not any(column.key == "seconds" for t in others for column in t.columns)


def test_table_1_takes_the_papers_columns_from_its_own_distances(
    make_trial: Callable[..., object],
) -> None:
    trial = make_trial(
        9.0, mtre_diffpose_mm=0.5, rotation_vector_difference_deg=1.0,
        translation_vector_difference_mm=2.0, mpd_mm=3.0, mtre_3d_mm=4.0,
    )  # fmt: skip
    entry = Entry(name="a", title="A", role="ours", trials=[trial])  # type: ignore[list-item]
    table = table_1([entry])[0]
    (row,) = texts(table, table.blocks[0])
    names = ("mtre_diffpose_mm", "srr", "re_deg", "te_mm", "mpd_mm", "mtre_3d_mm", "gfr")
    assert [row[name].split(" ±")[0] for name in names] == [
        "0.50", "100 %", "1.00", "2.00", "3.00", "4.00", "0 %",
    ]  # fmt: skip


def test_what_is_quoted_stands_apart(entries: list[Entry]) -> None:
    table = table_1(entries)[0]
    assert [block.source for block in table.blocks] == ["measured", "quoted"]
    assert "another data set" in table.blocks[1].title
    rows = texts(table, table.blocks[1])
    assert [row["method"] for row in rows] == list(TABLE_1)
    assert rows[3]["mtre_diffpose_mm"] == "0.67 ± 1.34"
    assert (rows[3]["srr"], rows[3]["re_deg"], rows[3]["te_mm"]) == (
        "87 %",
        "0.2 ± 0.5",
        "1.6 ± 2.9",
    )
    assert rows[3]["mtre_3d_mm"] == rows[3]["n"] == ""


def test_medians_with_intervals(entries: list[Entry]) -> None:
    table = by_name(table_1(entries))["table1-medians"]
    rows = texts(table, table.blocks[0])
    assert rows[1]["mpd_mm"].startswith("0.55 [")
    assert rows[2]["mpd_mm"].endswith("∞]")


def test_each_is_tested_against_the_best_of_an_earlier_role(entries: list[Entry]) -> None:
    table = by_name(table_1(entries))["table1-tests"]
    rows = texts(table, table.blocks[0])
    assert {(row["method"], row["reference"]) for row in rows} == {
        ("Paper", "Diffpose"), ("Ours", "Paper"),
    }  # fmt: skip
    projected = next(r for r in rows if r["method"] == "Ours" and r["distance"] == "projected (mm)")
    assert (projected["pairs"], projected["better"], projected["worse"]) == ("4", "3", "1")
    assert projected["difference"] == "−0.400"  # of -1.2, -0.4, -0.4 and a failure
    assert float(projected["p_holm"]) >= float(projected["p"])


def test_every_specimen_and_all_but_the_doubtful(entries: list[Entry]) -> None:
    table = by_name(table_1(entries, frozenset({("B", "001")})))["table1-specimens"]
    assert [block.title for block in table.blocks] == [
        "A", "B", "all but those of doubtful truth",
    ]  # fmt: skip
    kept = texts(table, table.blocks[2])
    assert [row["n"] for row in kept] == ["3", "3", "3"]
    assert kept[2]["unanswered"] == "0"
    assert len(by_name(table_1(entries))["table1-specimens"].blocks) == 2


def test_other_xrays_are_said(make_entry: EntryMaker) -> None:
    same = table_1([make_entry("a", [1.0, 2.0]), make_entry("b", [1.0, 2.0])])[0]
    other = table_1([make_entry("a", [1.0, 2.0]), make_entry("b", [1.0, 2.0, 3.0])])[0]
    assert not any("same X-rays" in note for note in same.notes)
    assert any("not tried on the same X-rays" in note for note in other.notes)


def test_who_is_told_boxes_is_said(make_entry: EntryMaker, entries: list[Entry]) -> None:
    boxed = make_entry("wsreg-medsam", [1.0, 2.0, 3.0, 4.0], "paper")
    for table in (table_1([*entries, boxed])[0], case_study([Scheme(entry=boxed)], "A")[0]):
        assert any("boxes around the true masks" in note for note in table.notes)
    assert not any("boxes" in note for note in table_1(entries)[0].notes)


def test_the_same_trials_give_the_same_tables(entries: list[Entry]) -> None:
    assert table_1(entries) == table_1(entries)
    alone = by_name(table_1(entries[1:]))["table1-medians"].blocks[0]
    among = by_name(table_1(entries))["table1-medians"].blocks[0]
    keys = [cell.text for cell in alone.rows[0]]
    assert keys == [cell.text for cell in among.rows[1]]  # whichever other rows there are


def test_case_study(make_entry: EntryMaker) -> None:
    schemes = [
        Scheme(entry=make_entry("u-net", [0.5, 0.7, 9.0, 9.0]), dice_xray=[0.8, 0.9, math.nan],
               dice_rendered=[0.7]),
        Scheme(entry=make_entry("medsam", [0.6, 0.8, 9.0, 9.0])),
    ]  # fmt: skip
    table = case_study(schemes, "A")[0]
    first, second = texts(table, table.blocks[0])
    assert first["dice_xray"] == "0.850 ± 0.050"
    assert second["dice_xray"] == "–"
    assert first["n"] == "2"
    assert first["mpd_mm"] == "0.60 ± 0.10"
    with pytest.raises(InputError, match="at least 1, got none"):
        case_study(schemes, "C")


def test_every_table_can_be_printed(entries: list[Entry]) -> None:
    for table in table_1(entries):
        assert latex(table).isascii()
        assert markdown(table).count("\n|") >= 3
