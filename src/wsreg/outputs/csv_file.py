"""Tables as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from wsreg.files.whole import staged_file

Row = dict[str, str | float]


def write_csv(rows: Iterable[Row], columns: Sequence[str], path: str | Path) -> None:
    """Write rows under columns, whole or not at all; absent cells stay empty.

    Args:
        rows: cells by column; text and whole numbers stay as they are, others get six digits.
        columns: in their order.
        path: of the file.

    Raises:
        InputError: the file cannot be written.
    """
    with (
        staged_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: str | float) -> str | int:
    return value if isinstance(value, str | int) else f"{value:.6g}"
