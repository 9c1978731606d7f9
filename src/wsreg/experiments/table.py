"""A table in one representation, written as Markdown, CSV and LaTeX (booktabs)."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsreg.files.whole import write_text
from wsreg.outputs.csv_file import Row, write_csv

SUFFIXES = (".md", ".csv", ".tex")
"""Of the files of a table."""
WIDE = 7
"""More columns than these are scaled to the width of a page in LaTeX."""

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#",
    "_": r"\_", "$": r"\$", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "†": r"$^\dagger$", "–": "--", "±": r"$\pm$", "°": r"$^\circ$",
    "−": r"$-$", "<": r"$<$", ">": r"$>$", "∞": r"$\infty$",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What stands in a row under a column.

    Args:
        text: as people read it.
        values: the numbers behind it, at full precision; name -> number, under which the CSV file
            has them (``column_name``).  Without any, the CSV file has the text.
        best: whether it is the best of its block, which is set in bold.
    """

    text: str
    values: Mapping[str, float] = field(default_factory=dict)
    best: bool = False


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: its name in the CSV file, and its title in print."""

    key: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """Rows that belong together.

    Args:
        source: in one word for the CSV file, such as ``measured`` or ``quoted``.
        title: a sentence above the rows; may be empty.
        rows: a cell for each column.
    """

    source: str
    title: str
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, kw_only=True)
class ResultTable:
    """A table; its first column names what a row is about.

    Args:
        name: of its files.
        title: the caption.
        columns: at least one.
        blocks: at least one.
        notes: sentences below.
    """

    name: str
    title: str
    columns: Sequence[Column]
    blocks: Sequence[Block]
    notes: Sequence[str] = ()


def measured_table(
    name: str,
    title: str,
    columns: Mapping[str, str],
    rows: Sequence[Sequence[Cell]],
    notes: Sequence[str],
) -> ResultTable:
    """Return a table of one block of measured rows; columns are key -> title."""
    return ResultTable(
        name=name,
        title=title,
        columns=[Column(key=key, title=words) for key, words in columns.items()],
        blocks=[Block(source="measured", title="", rows=rows)],
        notes=notes,
    )


def markdown(table: ResultTable) -> str:
    """Return a table as Markdown: caption, rows, notes."""
    numbers = columns_of_numbers(table)
    lines = [
        f"**{_plain(table.title)}**", "",
        _markdown_row([column.title for column in table.columns]),
        "".join("|---:" if n in numbers else "|---" for n in range(len(table.columns))) + "|",
    ]  # fmt: skip
    for block in table.blocks:
        if block.title:
            empty = [""] * (len(table.columns) - 1)
            lines.append(_markdown_row([f"*{_plain(block.title)}*", *empty], plain=True))
        for row in block.rows:
            cells = [_plain(cell.text) for cell in row]
            shown = [f"**{t}**" if c.best else t for c, t in zip(row, cells, strict=True)]
            lines.append(_markdown_row(shown, plain=True))
    if table.notes:
        lines += ["", *(f"- {_plain(note)}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def latex(table: ResultTable) -> str:
    """Return a table as LaTeX; it needs the packages booktabs and, where it is wide, graphicx."""
    count, numbers = len(table.columns), columns_of_numbers(table)
    sides = "".join("r" if n in numbers else "l" for n in range(count))
    wide = count > WIDE
    lines = [
        r"\begin{table}", r"\centering", rf"\caption{{{_escaped(table.title)}}}",
        rf"\label{{tab:{table.name}}}", *([r"\resizebox{\textwidth}{!}{%"] if wide else []),
        rf"\begin{{tabular}}{{@{{}}{sides}@{{}}}}", r"\toprule",
        _latex_row([_escaped(column.title) for column in table.columns]),
    ]  # fmt: skip
    for block in table.blocks:
        lines.append(r"\midrule")
        if block.title:
            title = rf"\emph{{{_escaped(block.title)}}}"
            lines.append(rf"\multicolumn{{{count}}}{{@{{}}l@{{}}}}{{{title}}} \\")
        lines += [_latex_row([_latex_cell(cell) for cell in row]) for row in block.rows]
    lines += [r"\bottomrule", r"\end{tabular}" + ("}" if wide else "")]
    if table.notes:
        notes = " ".join(_escaped(note) for note in table.notes)
        lines += [r"\par\smallskip", rf"{{\footnotesize {notes}}}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def columns_of_numbers(table: ResultTable) -> frozenset[int]:
    """Return which columns hold numbers, which are set to the right."""
    rows = [row for block in table.blocks for row in block.rows]
    return frozenset(n for n in range(len(table.columns)) if any(row[n].values for row in rows))


def csv_rows(table: ResultTable) -> tuple[list[Row], list[str]]:
    """Return the rows of the CSV file and its columns in their order."""
    rows: list[Row] = []
    for block in table.blocks:
        for cells in block.rows:
            row: Row = {"source": block.source}
            for column, cell in zip(table.columns, cells, strict=True):
                if cell.values:
                    row |= {f"{column.key}_{name}": value for name, value in cell.values.items()}
                elif cell.text:
                    row[column.key] = cell.text
            rows.append(row)
    order = [column.key for column in table.columns]
    found = dict.fromkeys(name for row in rows for name in row if name != "source")
    # Names of one column stand together, whichever row had them first.
    return rows, ["source", *sorted(found, key=lambda name: _place(name, order))]


def write_table(table: ResultTable, folder: str | Path) -> list[Path]:
    """Write ``name.md``, ``name.csv`` and ``name.tex`` into a folder, each whole or not at all.

    Returns:
        The files.

    Raises:
        InputError: the folder cannot be written.
    """
    text, comma, tex = (Path(folder) / f"{table.name}{suffix}" for suffix in SUFFIXES)
    write_text(text, markdown(table))
    write_csv(*csv_rows(table), comma)
    write_text(tex, latex(table))
    return [text, comma, tex]


def table_to_record(table: ResultTable) -> dict[str, Any]:
    """Return a table in the types of strict JSON, which knows neither NaN nor infinity."""
    record = dataclasses.asdict(table)
    for cell in (cell for block in record["blocks"] for row in block["rows"] for cell in row):
        values = cell["values"].items()
        cell["values"] = {k: v if math.isfinite(v) else str(v) for k, v in values}
    return record


def table_from_record(record: Mapping[str, Any]) -> ResultTable:
    """Return the table of a record, the inverse of :func:`table_to_record`.

    Raises:
        KeyError, TypeError, ValueError: the record is not one of a table.
    """
    blocks = [
        Block(**{**block, "rows": [[_cell(cell) for cell in row] for row in block["rows"]]})
        for block in record["blocks"]
    ]
    columns = [Column(**column) for column in record["columns"]]
    return ResultTable(**{**record, "columns": columns, "blocks": blocks})


def _cell(record: Mapping[str, Any]) -> Cell:
    return Cell(**{**record, "values": {k: float(v) for k, v in record["values"].items()}})


def _place(name: str, order: Sequence[str]) -> int:
    """Return the place of the column that a name of the CSV file belongs to."""
    fitting = [key for key in order if name == key or name.startswith(f"{key}_")]
    return order.index(max(fitting, key=len))


def _markdown_row(cells: Sequence[str], *, plain: bool = False) -> str:
    return "| " + " | ".join(cells if plain else [_plain(cell) for cell in cells]) + " |"


def _plain(text: str) -> str:
    """Return text that Markdown takes as it is."""
    return re.sub(r"([\\|*_<`])", r"\\\1", text)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    return rf"\textbf{{{text}}}" if cell.best else text


def _escaped(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return "".join(_LATEX.get(character, character) for character in text)
