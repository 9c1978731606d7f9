"""Names of label values: in files beside a label map, or within it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.json_files import read_json
from wsreg.files.reading_from import read_text, reading_from
from wsreg.files.xml_files import parse_xml

VALUE_COLUMNS = ("id", "value", "label_value", "labelvalue", "index", "label")
NAME_COLUMNS = ("structure", "name", "label_name", "labelname", "segment", "label")
NAME_SUFFIXES = (".json", ".csv", ".tsv", ".ctbl", ".txt", ".label")

LONGEST_LINE = 1000
"""Letters of a line that names a label."""

_ITK_SNAP_LINE = re.compile(r'(\d+)(?:\s+[\d.]+){6}\s+"(.*)"$')
_COLOUR_TABLE_LINE = re.compile(r"(\d+)\s+(.+?)(?:\s+[\d.]+){3,4}$")


def read_label_names(names: Mapping[int, str] | str | PathLike[str] | None) -> dict[int, str]:
    """Return names by label value, from a mapping or a file.

    A file is JSON ``{"1": "hip_left"}``; CSV or TSV with the columns ``id`` (or ``value``,
    ``label_value``, ``index``, ``label``) and ``structure`` (or ``name``, ``label_name``,
    ``segment``, ``label``), of which others are ignored; a colour table of 3D Slicer (.ctbl, .txt);
    or label descriptions of ITK-SNAP (.txt, .label).

    Raises:
        InputError: the file is missing, of another kind, or a label is no whole number, has no
            name, or has two.
    """
    if names is None:
        return {}
    if isinstance(names, Mapping):
        return _as_names(names.items(), "label_names")
    path = Path(names)
    if path.is_dir():
        raise InputError(f"label_names {path} must be a file, it is a folder")
    suffix = path.suffix.lower()
    if suffix not in NAME_SUFFIXES:
        raise InputError(
            f"label_names must be a file that ends in {', '.join(NAME_SUFFIXES)}, got {path}"
        )
    if suffix == ".json":
        return _names_from_json(path)
    text = read_text(path)
    if suffix in (".csv", ".tsv"):
        return _names_from_csv(text, path)
    return _names_from_lines(text, path)


def names_in_label_table(content: bytes) -> dict[int, str]:
    """Return the names in a NIfTI header extension with an XML label table, as TotalSegmentator's.

    Other contents, and labels without a number or a name, give none.
    """
    if b"LabelTable" not in content:
        return {}
    try:
        root = parse_xml(content.strip(b"\0 \r\n\t").decode("utf-8"), "label table")
    except (InputError, UnicodeDecodeError):
        return {}
    labels = [
        (element.get("Key", ""), (element.text or "").strip()) for element in root.iter("Label")
    ]
    return {int(key): name for key, name in labels if key.isdecimal() and int(key) and name}


def _names_from_json(path: Path) -> dict[int, str]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f'label_names {path} must be like {{"1": "hip_left"}}, got {content!r}')
    return _as_names(content.items(), f"label_names {path}")


def _names_from_csv(text: str, path: Path) -> dict[int, str]:
    lines = text.splitlines()
    separator = max(",;\t", key=(lines[0] if lines else "").count)
    with reading_from(f"label_names {path}", "must be a table", csv.Error):
        table = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    columns = table[0] if table else []
    plain = [column.strip().lower().replace(" ", "_") for column in columns]
    value = next((plain.index(name) for name in VALUE_COLUMNS if name in plain), None)
    name = next(
        (
            plain.index(name)
            for name in NAME_COLUMNS
            if name in plain and plain.index(name) != value
        ),
        None,
    )
    if value is None or name is None:
        raise InputError(
            f"label_names {path} must have the columns id and structure (or name), got {columns}"
        )
    rows = [row for row in table[1:] if row]
    for row in rows:
        if len(row) <= max(value, name):
            raise InputError(f"label_names {path} must have a name in each line, got {row}")
    return _as_names(((row[value], row[name]) for row in rows), f"label_names {path}")


def _names_from_lines(text: str, path: Path) -> dict[int, str]:
    """Read a colour table or label descriptions: a line each, ``#`` begins a comment."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("#"):
            continue
        short = line if len(line) <= LONGEST_LINE else ""  # longer ones take minutes to match
        match = _ITK_SNAP_LINE.match(short) or _COLOUR_TABLE_LINE.match(short)
        if match is None:
            raise InputError(
                f"label_names {path} must have lines of a colour table, number, name and colour, "
                f"got {line[:80]!r}"
            )
        found.append((match[1], match[2]))
    return _as_names(found, f"label_names {path}")


def _as_names(items: Iterable[tuple[Any, Any]], source: str) -> dict[int, str]:
    names: dict[int, str] = {}
    for value, name in items:
        label = _whole_number(value)
        if label is None or not isinstance(name, str):
            raise InputError(f"{source} must name whole-number labels, got {value!r}: {name!r}")
        if label in names:
            raise InputError(
                f"{source} must name each label once, {label} is {names[label]!r} and {name!r}"
            )
        names[label] = name.strip()
    return {label: name for label, name in names.items() if name}


def _whole_number(value: Any) -> int | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() and not isinstance(value, bool) else None
