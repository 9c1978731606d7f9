"""The report of a run, made from its folder: that of an X-ray, a batch, a rig or a sequence."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.json_files import read_json
from wsreg.files.names import given_name
from wsreg.files.reading_from import reading_from, reason_of
from wsreg.outputs.report import (
    Badge,
    Block,
    Cell,
    Facts,
    Folded,
    Link,
    Part,
    Section,
    Table,
    is_report,
    write_report,
)
from wsreg.outputs.result_files import read_result
from wsreg.outputs.result_sections import (
    inputs_part,
    json_text,
    notes_part,
    number,
    pictures,
    result_parts,
)

REPORT_FILE = "report.html"
SEQUENCE_PICTURES = {
    "sequence.png": "Frames with the outlines of the bodies.",
    "motion.png": "The pose of each body over the frames.",
}
ROWS_SHOWN = 200
"""Of the frames that did not pass."""
FEW = 24
"""So many values of a record are told in one line."""
FOLDED = ("camera", "config")
TOLD = ("schema", "files", "inputs", "versions", "notes", *FOLDED)
"""Fields of a record that are told elsewhere, those to be unfolded among them."""

CsvRow = Mapping[str, str]


def write_run_report(folder: str | Path, path: str | Path | None = None) -> Path:
    """Write the report of what a folder holds, by default as ``report.html`` in it.

    Returns:
        The file.

    Raises:
        InputError: the folder holds no results, or the file cannot be written.
    """
    folder = Path(folder)
    target = folder / REPORT_FILE if path is None else Path(path)
    sections = run_sections(folder)
    write_report(f"Registration: {given_name(folder)}", sections, target)
    return target


def remove_run_report(folder: str | Path) -> None:
    """Remove a report of an earlier run from a folder; another file of that name stays."""
    path = Path(folder) / REPORT_FILE
    if is_report(path):
        path.unlink()


def run_sections(folder: Path) -> list[Section]:
    """Return the sections on the newest run in a folder.

    Raises:
        InputError: there is none, or one of its files cannot be read.
    """
    runs = [folder / name for name in _SECTIONS if (folder / name).is_file()]
    if runs:
        newest = max(runs, key=lambda path: path.stat().st_mtime_ns)
        return _sections(_SECTIONS[newest.name], folder)
    below = sorted(path.parent for path in folder.glob("*/result.json"))
    if not below:
        raise InputError(
            f"report needs a folder with results (result.json, summary.csv or poses.csv), "
            f"got {folder}"
        )
    return _sections(_of_results, folder, [{"name": path.name} for path in below])


def _sections(make: Callable[..., list[Section]], folder: Path, *rest: Any) -> list[Section]:
    """Return the sections of a run whose records somebody may have changed by hand.

    Raises:
        InputError: one holds something else than such records do.
    """
    try:
        return make(folder, *rest)
    except (AttributeError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise InputError(
            f"{folder} must hold the records of a run as wsreg writes them: {reason_of(error)}"
        ) from error


def _of_one(folder: Path) -> list[Section]:
    result = read_result(folder)
    title = ", ".join(str(view["xray"]) for view in result["views"])
    return [Section(title=title, anchor="result", parts=result_parts(result, folder))]


def _of_batch(folder: Path) -> list[Section]:
    rows = _rows(folder / "summary.csv")
    if not all(row.get("name") for row in rows):
        raise InputError(f"{folder / 'summary.csv'} must have a name in each row")
    return _of_results(folder, rows)


def _of_results(folder: Path, rows: Sequence[CsvRow]) -> list[Section]:
    """Return a table of all X-rays, then a section on each one that has a result."""
    sections: list[Section] = []
    cells: list[Sequence[Cell]] = []
    for index, row in enumerate(rows, start=1):
        name, error = row["name"], row.get("error", "")
        if error:
            cells.append((name, Badge(status="failed"), "", "", "", error))
            continue
        result, anchor = read_result(folder / name), f"result-{index}"
        cells.append(_summary(Link(text=name, anchor=anchor), result))
        parts = result_parts(result, folder / name)
        sections.append(Section(title=name, anchor=anchor, parts=parts))
    columns = ("X-ray", "Verdict", "Similarity before", "after", "Seconds", "First reason")
    table = Table(columns=columns, rows=cells, numbers=frozenset({2, 3, 4}))
    counts = Counter(cell[1].status for cell in cells if isinstance(cell[1], Badge))
    blocks: list[Block] = [Facts(values=_counted(counts, len(rows), "X-rays")), table]
    return [Section(title="All X-rays", anchor="all", parts=[Part(title="", blocks=blocks)]),
            *sections]  # fmt: skip


def _summary(name: Link, result: Mapping[str, Any]) -> Sequence[Cell]:
    verdict, similarity = result["verdict"], result["similarity"]
    return (
        name,
        Badge(status=verdict["status"]),
        number(similarity["start"], ".3f"),
        number(similarity["end"], ".3f"),
        number(result.get("seconds", {}).get("total")),
        next(iter(verdict["reasons"]), ""),
    )


def _of_sequence(folder: Path) -> list[Section]:
    """Return what is known of a sequence: counts, pictures, frames that did not pass, settings."""
    rows = _rows(folder / "poses.csv")
    record = folder / "sequence.json"
    content = read_json(record) if record.is_file() else {}
    content = content if isinstance(content, dict) else {}
    parts = [
        Part(title="", blocks=(_counts_by_body(rows), *pictures(folder, SEQUENCE_PICTURES))),
        Part(title="Frames that did not pass", blocks=_not_passed(rows)),
        notes_part(content),
        Part(title="Run", blocks=_plain_facts(content)),
        inputs_part(content),
        Part(title="Details", blocks=_folded(content)),
    ]
    parts = [part for part in parts if part.blocks]
    return [Section(title="Sequence", anchor="sequence", parts=parts)]


def _counts_by_body(rows: Sequence[CsvRow]) -> Table:
    bodies = dict.fromkeys(row.get("body", "") for row in rows)
    cells = []
    for body in bodies:
        counts = Counter(row.get("verdict", "") for row in rows if row.get("body", "") == body)
        cells.append((body, *(str(counts[status]) for status in ("pass", "check", "fail"))))
    columns = ("Body", "Frames that pass", "to check", "that fail")
    return Table(columns=columns, rows=cells, numbers=frozenset({1, 2, 3}))


def _not_passed(rows: Sequence[CsvRow]) -> list[Block]:
    columns = {"frame": "Frame", "name": "X-ray", "body": "Body", "found_by": "Found by"}
    known = [name for name in columns if rows and name in rows[0]]
    cells: list[Sequence[Cell]] = [
        (
            *(row[name] for name in known),
            Badge(status=row.get("verdict", "")),
            row.get("reason", ""),
        )
        for row in rows
        if row.get("verdict") != "pass"
    ]
    if not cells:
        return []
    titles = (*(columns[name] for name in known), "Verdict", "Reason")
    blocks: list[Block] = [Table(columns=titles, rows=cells[:ROWS_SHOWN])]
    if len(cells) > ROWS_SHOWN:
        blocks.append(Facts(values={"And more": f"{len(cells) - ROWS_SHOWN} rows of poses.csv"}))
    return blocks


def _plain_facts(content: Mapping[str, Any]) -> list[Block]:
    """Return what a record says in single values and short lists of them."""
    shown = {name: _short(value) for name, value in content.items() if name not in TOLD}
    values = {_words(name): text for name, text in shown.items() if text}
    return [Facts(values=values)] if values else []


def _folded(content: Mapping[str, Any]) -> list[Block]:
    """Return what a record says at more length, but for what is told elsewhere."""
    return [
        Folded(title=_words(name), text=json_text(value))
        for name, value in content.items()
        if name in FOLDED or (name not in TOLD and value and not _short(value))
    ]


def _short(value: Any) -> str:
    """Return a value, or a list or mapping of a few, as one line; empty for any other."""
    if isinstance(value, float):
        return number(value, ".4g")
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and len(value) <= FEW:
        return _joined([_short(item) for item in value])
    if isinstance(value, dict) and len(value) <= FEW:
        texts = [_short(item) for item in value.values()]
        return _joined(
            [f"{name} {text}" if text else "" for name, text in zip(value, texts, strict=True)]
        )
    return ""


def _joined(texts: Sequence[str]) -> str:
    return ", ".join(texts) if all(texts) else ""


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _counted(counts: Mapping[str, int], total: int, what: str) -> dict[str, str]:
    return {what: f"{total}: " + ", ".join(f"{n} {status}" for status, n in counts.items())}


def _rows(path: Path) -> Sequence[CsvRow]:
    with (
        reading_from(path, "cannot be read", csv.Error),
        path.open(encoding="utf-8", newline="") as stream,
    ):
        rows = list(csv.DictReader(stream, restkey="", restval=""))
    return [{name: value for name, value in row.items() if name} for row in rows]


_SECTIONS: Mapping[str, Callable[[Path], list[Section]]] = {
    "result.json": _of_one,
    "summary.csv": _of_batch,
    "poses.csv": _of_sequence,
}
"""By the file that tells a run of its kind."""
