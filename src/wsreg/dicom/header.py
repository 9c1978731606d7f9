"""What a DICOM header says of one frame, whatever bad values it holds.

An enhanced object keeps much of it in functional groups: those of the frame come first, then
those that all frames share, then the header itself, where classic objects have everything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wsreg.dicom.files import parsing_errors, quietly


@dataclass(frozen=True, kw_only=True)
class Header:
    """Values by keyword; what is absent, empty or malformed is None.

    Args:
        levels: pydicom data sets in the order in which they are asked.
        notes: sentences on what was ignored, added to as values are read.
    """

    levels: tuple[Any, ...]
    notes: list[str] = field(default_factory=list)

    def value(self, keyword: str) -> Any:
        """Return a value as pydicom reads it, or None."""
        for level in self.levels:
            if keyword not in level:
                continue
            try:
                with quietly():
                    found = level[keyword].value
            except parsing_errors():
                self.ignore(keyword)
                continue
            if found is not None and not _is_empty(found):
                return found
        return None

    def has(self, keyword: str) -> bool:
        """Tell whether a field is there, be it empty or malformed."""
        return any(keyword in level for level in self.levels)

    def numbers(self, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
        """Return the ``count`` (or any number of) finite numbers of a field."""
        value = self.value(keyword)
        if value is None:
            return None
        try:
            values = _as_numbers(value)
        except (TypeError, ValueError, OverflowError):
            values = ()
        if not values or count not in (None, len(values)) or not all(map(math.isfinite, values)):
            self.ignore(keyword)
            return None
        return values

    def number(self, keyword: str) -> float | None:
        """Return the one finite number of a field."""
        values = self.numbers(keyword, 1)
        return None if values is None else values[0]

    def whole(self, keyword: str) -> int | None:
        """Return the one whole number of a field."""
        number = self.number(keyword)
        if number is None or number.is_integer():
            return None if number is None else int(number)
        self.ignore(keyword)
        return None

    def positive(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Return the ``count`` positive numbers of a field."""
        values = self.numbers(keyword, count)
        if values is not None and min(values) <= 0:
            self.note(f"Ignored {keyword}, which must be positive, got {values}.")
            return None
        return values

    def words(self, keyword: str) -> tuple[str, ...]:
        """Return the texts of a field in capitals, none of them where it is absent or malformed."""
        value = self.value(keyword)
        if value is None:
            return ()
        if isinstance(value, bytes):
            value = value.decode("latin-1").split("\\")
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            value = [value]
        parts = [part for one in value for part in str(one).split("\\")]
        return tuple(" ".join(part.strip("\0").upper().split()) for part in parts)

    def word(self, keyword: str) -> str:
        """Return the one text of a field in capitals, "" without one."""
        words = self.words(keyword)
        if len(words) > 1:
            self.ignore(keyword)
            return ""
        return words[0] if words else ""

    def items(self, keyword: str) -> tuple[Any, ...]:
        """Return the data sets in a sequence."""
        return tuple(_items(self.value(keyword)))

    def ignore(self, keyword: str) -> None:
        """Note that a field is malformed."""
        self.note(f"Ignored {keyword}, which is malformed.")

    def note(self, sentence: str) -> None:
        """Add a sentence to the notes unless it is there."""
        if sentence not in self.notes:
            self.notes.append(sentence)


def file_header(dataset: Any, notes: list[str] | None = None) -> Header:
    """Return the header of a file without any functional groups."""
    return Header(levels=(dataset,), notes=[] if notes is None else notes)


def frame_header(dataset: Any, index: int, notes: list[str] | None = None) -> Header:
    """Return the header of frame ``index``, counted from 0."""
    root = file_header(dataset, notes)
    groups = root.items("PerFrameFunctionalGroupsSequence")
    own = _macros(groups[index]) if index < len(groups) else ()
    shared = root.items("SharedFunctionalGroupsSequence")
    common = _macros(shared[0]) if shared else ()
    return Header(levels=(*own, *common, dataset), notes=root.notes)


def frame_headers(dataset: Any, notes: list[str] | None = None) -> list[Header]:
    """Return the headers of all frames that have functional groups of their own."""
    root = file_header(dataset, notes)
    shared = root.items("SharedFunctionalGroupsSequence")
    common = _macros(shared[0]) if shared else ()
    return [
        Header(levels=(*_macros(group), *common, dataset), notes=root.notes)
        for group in root.items("PerFrameFunctionalGroupsSequence")
    ]


def _macros(group: Any) -> tuple[Any, ...]:
    """Return the data sets of a functional group, each the first item of a sequence."""
    found = []
    with quietly():
        for tag in list(group.keys()):
            try:
                found += list(_items(group[tag].value))[:1]
            except parsing_errors():
                continue
    return tuple(found)


def _items(value: Any) -> Iterator[Any]:
    from pydicom.dataset import Dataset

    if value is not None and not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
        yield from (item for item in value if isinstance(item, Dataset))


def _is_empty(value: Any) -> bool:
    return hasattr(value, "__len__") and len(value) == 0


def _as_numbers(value: Any) -> tuple[float, ...]:
    if isinstance(value, bytes):
        value = value.decode("ascii").strip(" \0")
    if isinstance(value, str):
        value = value.split("\\")
    array = np.atleast_1d(np.asarray(value, dtype=np.float64))
    return tuple(float(v) for v in array.reshape(-1))
