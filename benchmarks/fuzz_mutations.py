"""What breaks a file: bits, lengths, numbers in headers, wrong types, another file's content.

Each mutation takes the file's bytes and a generator and returns other bytes; the same seed gives
the same bytes.  What is packed (gzip, zip) is broken outside or inside, so that broken content
reaches the reader behind a checksum that is right.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fuzz_objects import break_dicom, break_hdf5

Mutate = Callable[[bytes, np.random.Generator], bytes]

HUGE = (
    b"\xff\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\xff" * 8,
    b"\x00\x00\x00\x40", b"\x50\xc3\x00\x00", b"\x00\x00\xc3\x50", b"\xff\x7f",
    struct.pack("<d", float("nan")), struct.pack("<d", float("inf")),
    struct.pack("<f", float("nan")), struct.pack("<f", float("-inf")), struct.pack("<d", 1e300),
)  # fmt: skip
"""Numbers that no header should hold, as they lie in files of either byte order."""

WORDS = (
    "abc", "NaN", "inf", "-inf", "1e400", "-1", "0", "", "99999999999999999999", "1e-320", "[]",
    "null", "true", "'", '"', "1,2", "0x10", "\u00fc", "(", "none", "65535", "4294967295",
)  # fmt: skip
"""What may stand where a number should."""

VALUES: tuple[Any, ...] = (
    None, True, "text", "", [], {}, [[]], -1, 0, 1e308, 10**40, float("nan"), float("inf"),
    [1, 2, 3], {"a": 1}, [None], "../../etc/passwd", -0.5, 2**31, [[1, 0], [0, 1]],
)  # fmt: skip
"""What may stand where another type of JSON should."""

HEADER_BYTES = 400
"""Most formats say their sizes within so many bytes."""

_NO_INSIDE = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile)
"""What tells that a file is too broken already to be broken in its own terms."""

_NUMBER = re.compile(rb"-?\d+\.?\d*(?:[eE][-+]?\d+)?")


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip 1 to 16 bits, half of the time all of them near the file's beginning."""
    changed = bytearray(data)
    end = min(len(data), HEADER_BYTES) if rng.random() < 0.5 else len(data)
    for _ in range(int(rng.integers(1, 17))):
        changed[int(rng.integers(end))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def truncate(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut the end off."""
    return data[: int(rng.integers(len(data)))]


def zeros(data: bytes, rng: np.random.Generator) -> bytes:
    """Put zeros into a stretch of the file."""
    begin, end = sorted(int(n) for n in rng.integers(len(data) + 1, size=2))
    return data[:begin] + bytes(end - begin) + data[end:]


def insert(data: bytes, rng: np.random.Generator) -> bytes:
    """Insert up to 64 random bytes."""
    at = int(rng.integers(len(data) + 1))
    return data[:at] + rng.bytes(int(rng.integers(1, 65))) + data[at:]


def remove(data: bytes, rng: np.random.Generator) -> bytes:
    """Take up to 64 bytes out."""
    at = int(rng.integers(len(data)))
    return data[:at] + data[at + int(rng.integers(1, 65)) :]


def exchange(data: bytes, rng: np.random.Generator) -> bytes:
    """Exchange two stretches of equal length, as tags in the wrong order are."""
    length = int(rng.integers(1, max(2, min(64, len(data) // 3 + 1))))
    first, second = sorted(int(n) for n in rng.integers(max(1, len(data) - length), size=2))
    if second < first + length:
        return data[::-1]
    a, b = data[first : first + length], data[second : second + length]
    return data[:first] + b + data[first + length : second] + a + data[second + length :]


def huge_number(data: bytes, rng: np.random.Generator) -> bytes:
    """Put a number that is far too large, or none, into the file's beginning."""
    word = HUGE[int(rng.integers(len(HUGE)))]
    end = HEADER_BYTES if rng.random() < 0.8 else len(data)
    at = int(rng.integers(max(1, min(len(data), end) - len(word))))
    at -= at % 2 if rng.random() < 0.7 else 0
    return data[:at] + word + data[at + len(word) :]


def empty(data: bytes, rng: np.random.Generator) -> bytes:
    """Leave nothing, or nothing but blanks."""
    return b"" if rng.random() < 0.5 else b" \n" * int(rng.integers(1, 9))


def text_for_number(data: bytes, rng: np.random.Generator) -> bytes:
    """Put a word where a number stands in a text."""
    found = list(_NUMBER.finditer(data))
    if not found:
        return flip_bits(data, rng)
    match = found[int(rng.integers(len(found)))]
    word = WORDS[int(rng.integers(len(WORDS)))].encode()
    return data[: match.start()] + word + data[match.end() :]


def repeat_line(data: bytes, rng: np.random.Generator) -> bytes:
    """Repeat, drop or exchange lines of a text."""
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return truncate(data, rng)
    i, j = (int(n) for n in rng.integers(len(lines), size=2))
    choice = rng.integers(3)
    if choice == 0:
        lines.insert(j, lines[i])
    elif choice == 1:
        del lines[i]
    else:
        lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


def wrong_type(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace, drop or rename one value of a JSON document by one of another type."""
    try:
        content = json.loads(data)
    except ValueError:
        return text_for_number(data, rng)
    places = list(_places(content))
    if not places:
        return json.dumps(VALUES[int(rng.integers(len(VALUES)))]).encode()
    holder, key = places[int(rng.integers(len(places)))]
    choice = rng.random()
    if choice < 0.15:
        del holder[key]
    elif choice < 0.22 and isinstance(holder, dict):
        holder["another"] = holder.pop(key)
    else:
        holder[key] = VALUES[int(rng.integers(len(VALUES)))]
    return json.dumps(content).encode()


def _places(content: Any) -> Any:
    """Yield (holder, key) of every value in a JSON document."""
    keys = range(len(content)) if isinstance(content, list) else ()
    for key in content.keys() if isinstance(content, dict) else keys:
        yield content, key
        yield from _places(content[key])


BYTES: tuple[Mutate, ...] = (
    flip_bits, flip_bits, truncate, zeros, insert, remove, exchange, huge_number, huge_number,
    empty,
)  # fmt: skip
TEXT: tuple[Mutate, ...] = (text_for_number, text_for_number, repeat_line)
TEXT_SUFFIXES = (
    ".json", ".yml", ".yaml", ".xml", ".csv", ".txt", ".tfm", ".fcsv", ".mhd", ".nhdr", ".ctbl",
    ".journal", ".label",
)  # fmt: skip


def mutated(name: str, data: bytes, others: Mapping[str, bytes], rng: np.random.Generator) -> bytes:
    """Break the content of a file.

    Args:
        name: of the file; its ending says what else than bytes can be broken.
        data: the content.
        others: contents of other files, any of which may come under this name.
        rng: what to break, and how.
    """
    if rng.random() < 0.03:
        return others[sorted(others)[int(rng.integers(len(others)))]]
    inside = _inside_of(name, data)
    if inside is not None and rng.random() < 0.5:
        with contextlib.suppress(*_NO_INSIDE):
            return inside(data, rng)
    kinds = BYTES
    if name.endswith(".json") and rng.random() < 0.7:
        kinds = (wrong_type, wrong_type, text_for_number)
    elif name.endswith(TEXT_SUFFIXES) and rng.random() < 0.7:
        kinds = TEXT
    return kinds[int(rng.integers(len(kinds)))](data or b"\0", rng)


def _inside_of(name: str, data: bytes) -> Mutate | None:
    """Return what breaks a file of this kind in its own terms, if anything does."""
    if name.endswith((".h5", ".hdf5")):
        return break_hdf5
    if data[128:132] == b"DICM":
        return break_dicom
    if name.endswith(".npz"):
        return _inside_zip
    if name.endswith(".gz"):
        return _inside_gzip
    if data[:4] == b"NRRD":
        return _inside_nrrd
    if b"ElementDataFile" in data:
        return lambda data, rng: _head_changed(data, data.index(b"ElementDataFile"), rng)
    return _inside_safetensors if data[8:9] == b"{" else None


def _any(data: bytes, rng: np.random.Generator) -> bytes:
    return BYTES[int(rng.integers(len(BYTES)))](data or b"\0", rng)


def _inside_gzip(data: bytes, rng: np.random.Generator) -> bytes:
    return gzip.compress(_any(gzip.decompress(data), rng), compresslevel=1, mtime=0)


def _inside_zip(data: bytes, rng: np.random.Generator) -> bytes:
    """Break one member of a zip file, or leave it out."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        names = old.namelist()
        chosen = names[int(rng.integers(len(names)))]
        for name in names:
            content = old.read(name)
            if name == chosen and rng.random() < 0.1:
                continue
            # a date of its own would make other bytes every time
            new.writestr(zipfile.ZipInfo(name), _any(content, rng) if name == chosen else content)
    return target.getvalue()


def _inside_nrrd(data: bytes, rng: np.random.Generator) -> bytes:
    """Break the header in words, or what its voxels are unpacked to."""
    end = data.index(b"\n\n")
    if rng.random() < 0.6 or b"encoding: gzip" not in data[:end]:
        return _head_changed(data, end, rng)
    packed = data[end + 2 :]
    return data[: end + 2] + gzip.compress(_any(zlib.decompress(packed, 47), rng), mtime=0)


def _head_changed(data: bytes, end: int, rng: np.random.Generator) -> bytes:
    return TEXT[int(rng.integers(len(TEXT)))](data[:end], rng) + data[end:]


def _inside_safetensors(data: bytes, rng: np.random.Generator) -> bytes:
    """Break the header's JSON under a length that is right, or put NaN among the weights."""
    length = int.from_bytes(data[:8], "little")
    header, weights = data[8 : 8 + length], data[8 + length :]
    if rng.random() < 0.5:
        header = wrong_type(header, rng)
        return len(header).to_bytes(8, "little") + header + weights
    at = int(rng.integers(max(1, len(weights) // 4))) * 4
    return data[: 8 + length] + weights[:at] + struct.pack("<f", np.nan) + weights[at + 4 :]
