"""Whether two folders hold the same, but for how long things took and when they were made."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wsreg.outputs.pictures import HEADER_PX

TIMES = ("seconds", "crc32", "text", "files")
"""Fields that hold seconds: in text, in the sums of lines, in the hashes of files in a journal."""
NEARLY, DIGITS = "remaining_gain", 12
"""A difference of nearly equal sums, whose last digits are noise."""
SECONDS_COLUMN = re.compile(r"^(\| [^|]*\| [^|]*\| [^|]*\| [^|]*\|)[^|]*\|$", re.MULTILINE)
"""The last of five, in the first table of an evaluation's summary.md."""


def content_of(folder: Path) -> dict[str, str]:
    """Return the hash of every file of a folder, hidden ones too, by its name.

    TensorBoard's events are left out: they are named after process and time.
    """
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(_lasting(path)).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "tensorboard" not in path.parts
    }


def _lasting(path: Path) -> bytes:
    """Return what of a file does not depend on the clock."""
    content = path.read_bytes()
    if path.name == "overlay.png" and (path.parent / "result.json").exists():
        with Image.open(path) as picture:
            return np.asarray(picture)[HEADER_PX:].tobytes()
    if path.suffix == ".json":
        return _dumped(json.loads(content))
    if path.suffix in (".jsonl", ".journal"):
        return b"\n".join(_dumped(json.loads(line)) for line in content.splitlines())
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(content.decode()))
        return _dumped(list(rows))
    if path.suffix == ".md":
        return SECONDS_COLUMN.sub(r"\1", content.decode()).encode()
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return b"".join(name.encode() + arrays[name].tobytes() for name in arrays)
    return gzip.decompress(content) if path.suffix == ".gz" else content


def _dumped(value: Any) -> bytes:
    return json.dumps(_without_times(value), sort_keys=True).encode()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not any(time in k for time in TIMES)}
        return {
            key: round(item, DIGITS) if key == NEARLY and item else _without_times(item)
            for key, item in kept.items()
        }
    return [_without_times(item) for item in value] if isinstance(value, list) else value
