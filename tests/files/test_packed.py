"""Unpacking: equal to gzip's own, its checksum held to, never more than was told of."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.files.packed import BLOCK, MOST_AFTER, check_packed, unpacked

DATA = np.random.default_rng(0).integers(0, 50, 3 * BLOCK // 2, dtype=np.uint8).tobytes()


def test_what_was_packed_comes_back_also_from_several_members(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(DATA[:1000]) + gzip.compress(DATA[1000:]) + b"\0" * 99)
    assert unpacked(path, len(DATA)) == DATA
    assert unpacked(path, 500, skip=len(DATA) - 500) == DATA[-500:]
    assert unpacked(path, 100, skip=len(DATA) - 5000) == DATA[-5000:-4900]
    path.write_bytes(b"head" + zlib.compress(DATA))
    check_packed(path, 4, len(DATA))


def test_every_flipped_bit_of_the_packed_bytes_is_found(tmp_path: Path) -> None:
    packed = gzip.compress(DATA[:5000], mtime=0)
    path = tmp_path / "a.gz"
    generator = np.random.default_rng(1)
    for at in generator.integers(10, len(packed), size=60):
        changed = bytearray(packed)
        changed[at] ^= 1 << int(generator.integers(8))
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"a\.gz (is damaged|is truncated|holds more)"):
            unpacked(path, 5000)


@pytest.mark.parametrize("kept", [0, 1, 5, 500, -1])
def test_a_file_that_ends_early_is_truncated(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(DATA[:5000])[:kept])
    with pytest.raises(InputError, match=r"a\.gz is truncated"):
        unpacked(path, 5000)
    path.write_bytes(gzip.compress(DATA[:5000]))
    with pytest.raises(InputError, match=r"a\.gz is truncated: it holds 5000 of 6000 bytes"):
        check_packed(path, 0, 6000)


def test_more_than_the_header_tells_of_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(40 * MOST_AFTER)))
    with pytest.raises(InputError, match=r"a\.gz holds more than the 1000 bytes"):
        unpacked(path, 1000)


def test_so_few_bytes_cannot_hold_so_many(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(bytes(10_000_000))
    with pytest.raises(InputError, match=r"cannot hold them"):
        check_packed(path, 0, 11_000_000_000)
    with pytest.raises(InputError, match=r"its 8\.2 GB are packed 819 times, .* save it unpacked"):
        check_packed(path, 0, 8_192_000_000)
