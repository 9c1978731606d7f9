from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.files.hashes import sha256_of

SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_sha256_of_a_file_is_the_published_value(tmp_path: Path) -> None:
    (tmp_path / "abc").write_text("abc")
    assert sha256_of(tmp_path / "abc") == SHA256_OF_ABC


def test_sha256_of_a_folder_depends_on_contents_not_names(tmp_path: Path) -> None:
    for folder, names in (("one", "ab"), ("two", "zy")):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / names[0]).write_text("abc")
        (tmp_path / folder / "deep" / names[1]).write_text("slice 2")
    assert sha256_of(tmp_path / "one") == sha256_of(tmp_path / "two")
    digests = sorted((SHA256_OF_ABC, hashlib.sha256(b"slice 2").hexdigest()))
    assert sha256_of(tmp_path / "one") == hashlib.sha256("\n".join(digests).encode()).hexdigest()
    (tmp_path / "two" / "z").write_text("abd")
    assert sha256_of(tmp_path / "one") != sha256_of(tmp_path / "two")


def test_sha256_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*absent"):
        sha256_of(tmp_path / "absent")
    with pytest.raises(InputError, match="empty folder"):
        sha256_of(tmp_path)
