"""OpenCV's FileStorage (YAML, XML and JSON) as plain values, without OpenCV.

Of YAML the part that OpenCV, and ROS for its cameras, write: names at the left margin with a
number, a text, a list in brackets, or a matrix of ``rows``, ``cols`` and ``data``.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.reading_from import read_text
from wsreg.files.xml_files import parse_xml
from wsreg.geometry.arrays import in_words

_NAME = re.compile(r"^(?P<name>[A-Za-z_][\w.\-]*)\s*:(?P<rest>.*)$")
_NUMBER = re.compile(r"[^\s,\[\]]+")


def read_opencv_storage(path: Path) -> dict[str, Any]:
    """Return the values of a FileStorage by name: numbers, texts, lists; matrices as rows.

    Raises:
        InputError: a file that cannot be read or is not of this kind.
    """
    text = read_text(path)
    return _of_xml(text, path) if text.lstrip().startswith("<") else _of_yaml(text, path)


def is_json_storage(content: Any) -> bool:
    """Return whether JSON was written by OpenCV: it has matrices with ``type_id``."""
    return isinstance(content, dict) and any(map(_is_matrix, content.values()))


def plain_values(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the values of a FileStorage in JSON by name; matrices as rows.

    Raises:
        InputError: a matrix whose numbers are not as many as its rows and columns.
    """
    return {
        name: _of_json_matrix(value, f"{path}: {name}") if _is_matrix(value) else value
        for name, value in content.items()
    }


def _is_matrix(value: Any) -> bool:
    """Return whether a value is a matrix of OpenCV, or of ROS, which names no type."""
    return isinstance(value, dict) and (
        value.get("type_id") == "opencv-matrix" or {*_SIZE, "data"} <= value.keys()
    )


def _of_json_matrix(value: dict[str, Any], where: str) -> list[list[float]]:
    data = value.get("data")
    if not isinstance(data, list):
        raise InputError(f"{where} must hold its data as a list of numbers, got {in_words(data)}")
    size = [_whole(str(value.get(name)), f"{where} {name}") for name in _SIZE]
    return _matrix(" ".join(map(str, data)), size, where)


def _of_xml(text: str, path: Path) -> dict[str, Any]:
    root = parse_xml(text, path)
    if root.tag != "opencv_storage":
        raise InputError(f"{path} must hold <opencv_storage>, got <{root.tag}>")
    values: dict[str, Any] = {}
    for node in root:
        data = node.find("data")
        if data is None:
            value = _value(node.text or "")
        else:
            size = [_whole(node.findtext(name), f"{path}: {node.tag} {name}") for name in _SIZE]
            value = _matrix(data.text or "", size, f"{path}: {node.tag}")
        _put(values, node.tag, value, path)
    return values


_SIZE = ("rows", "cols")


def _of_yaml(text: str, path: Path) -> dict[str, Any]:
    blocks: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith(("%", "---", "...", "#")) or not line.strip():
            continue
        named = _NAME.match(line)
        if named:
            blocks.append((named["name"], [named["rest"]]))
        elif blocks:
            blocks[-1][1].append(line)
        else:
            raise InputError(f"{path} must be OpenCV's YAML, got the line {line.strip()!r}")
    values: dict[str, Any] = {}
    for name, lines in blocks:
        _put(values, name, _of_block("\n".join(lines), f"{path}: {name}"), path)
    return values


def _of_block(text: str, where: str) -> Any:
    """Return the value of what follows a name in YAML."""
    data = re.search(r"^\s*data\s*:\s*\[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    if data is None:
        return _value(re.sub(r"!!\S+", "", text))
    found = [re.search(rf"^\s*{name}\s*:\s*(\S+)", text, re.MULTILINE) for name in _SIZE]
    size = [
        _whole(match[1] if match else None, f"{where} {name}")
        for name, match in zip(_SIZE, found, strict=True)
    ]
    return _matrix(data[1], size, where)


def _put(values: dict[str, Any], name: str, value: Any, path: Path) -> None:
    if name in values:
        raise InputError(f"{path} must hold each name once, got {name} repeatedly")
    values[name] = value


def _matrix(text: str, size: list[int], where: str) -> list[list[float]]:
    rows, columns = size
    numbers = [_number(word) for word in _NUMBER.findall(text)]
    if None in numbers or len(numbers) != rows * columns:
        raise InputError(
            f"{where} must hold {rows} x {columns} numbers as data, got {len(numbers)} words"
        )
    known = [number for number in numbers if number is not None]
    return [known[row * columns : (row + 1) * columns] for row in range(rows)]


def _value(text: str) -> Any:
    """Return a number, a list of numbers, or else the text."""
    words = _NUMBER.findall(text)
    numbers = [_number(word) for word in words]
    if not words or None in numbers:
        return text.strip().strip("\"'")
    listed = len(numbers) > 1 or "[" in text
    return numbers if listed else numbers[0]


def _number(word: str) -> float | None:
    try:
        return float(re.sub(r"^([+-]?)\.(nan|inf)$", r"\1\2", word, flags=re.IGNORECASE))
    except ValueError:
        return None


def _whole(text: str | None, where: str) -> int:
    number = None if text is None else _number(text.strip())
    if number is None or not math.isfinite(number) or number != int(number) or number < 1:
        raise InputError(f"{where} must be a whole number of at least 1, got {text!r}")
    return int(number)
